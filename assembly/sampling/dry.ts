import { Repetition } from "../abi";

/** The id that stands `back` tokens before the newest one. */
// @ts-ignore: decorator
@inline
function recent(history: usize, count: i32, back: i32): i32 {
  return load<i32>(history + (<usize>(count - 1 - back) << 2));
}

/** Whether no repetition goes on over this token. */
// @ts-ignore: decorator
@inline
function breaks(breakers: usize, vocab: i32, id: i32): bool {
  if (<u32>id >= <u32>vocab) return true;
  return breakers != 0 && ((load<i32>(breakers + (<usize>(id >> 5) << 2)) >>> (id & 31)) & 1) == 1;
}

/**
 * Penalises every token that would lengthen a repetition ("DRY", p-e-w, text-generation-webui #5677): where the newest L
 * tokens stand somewhere before, L ≥ allowed, the token that followed there loses multiplier · base^(L − allowed), for
 * the longest such L. A repetition does not reach over a breaker.
 * @param x logits f32 [vocab]
 */
export function dry_f32(x: usize, vocab: i32, repetition: Repetition): void {
  const history = repetition.history;
  const count = repetition.count;
  const breakers = repetition.breakers;
  const scratch = repetition.scratch;
  const allowed = repetition.allowed;
  const multiplier = repetition.multiplier;
  const base = repetition.base;
  let reach = 0;
  while (reach < count && !breaks(breakers, vocab, recent(history, count, reach))) reach++;
  if (reach < allowed) return;
  const longest = scratch + (<usize>count << 2);
  // Z-function of the history read backwards: z[i] = how many tokens before place i equal the newest ones.
  let left = 0;
  let right = 0;
  for (let i = 1; i < count; i++) {
    let z = i < right ? min(right - i, load<i32>(scratch + (<usize>(i - left) << 2))) : 0;
    while (i + z < count && recent(history, count, z) == recent(history, count, i + z)) z++;
    store<i32>(scratch + (<usize>i << 2), z);
    if (i + z > right) {
      left = i;
      right = i + z;
    }
    const length = min(z, reach);
    const next = recent(history, count, i - 1);
    if (length < allowed || breaks(breakers, vocab, next)) continue;
    const at = longest + (<usize>next << 2);
    if (length > load<i32>(at)) store<i32>(at, length);
  }
  for (let i = 1; i < count; i++) {
    const next = recent(history, count, i - 1);
    if (<u32>next >= <u32>vocab) continue;
    const at = longest + (<usize>next << 2);
    const length = load<i32>(at);
    if (length == 0) continue;
    store<i32>(at, 0);
    let penalty = multiplier;
    for (let k = allowed; k < length && penalty < f32.MAX_VALUE; k++) penalty *= base;
    store<f32>(x + (<usize>next << 2), load<f32>(x + (<usize>next << 2)) - min(penalty, f32.MAX_VALUE));
  }
}
