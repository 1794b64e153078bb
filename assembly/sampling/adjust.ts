/** out[i] = x[i] where bit i of the mask (i32 words, lowest bit first) is set, and −∞ where it is not. `out` may be `x`. */
export function mask_f32(out: usize, x: usize, mask: usize, count: i32): void {
  const nothing = f32x4.splat(-Infinity);
  let i = 0;
  for (; i + 32 <= count; i += 32) {
    const word = load<i32>(mask + (<usize>i >> 3));
    const from = x + (<usize>i << 2);
    const to = out + (<usize>i << 2);
    if (word == 0) {
      for (let k: usize = 0; k < 128; k += 16) v128.store(to + k, nothing);
      continue;
    }
    let bits = i32x4.splat(word);
    let one = i32x4(1, 2, 4, 8);
    for (let k: usize = 0; k < 128; k += 16) {
      const allowed = i32x4.ne(v128.and(bits, one), i32x4.splat(0));
      v128.store(to + k, v128.bitselect(v128.load(from + k), nothing, allowed));
      one = i32x4.shl(one, 4);
    }
  }
  for (; i < count; i++) {
    const allowed = (load<i32>(mask + (<usize>(i >> 5) << 2)) >>> (i & 31)) & 1;
    store<f32>(out + (<usize>i << 2), allowed ? load<f32>(x + (<usize>i << 2)) : -Infinity);
  }
}

/** x[ids[k]] += values[k] for each of the `count` distinct ids (i32); values: f32. */
export function add_at_f32(x: usize, ids: usize, values: usize, count: i32): void {
  for (let k = 0; k < count; k++) {
    const at = x + (<usize>load<i32>(ids + (<usize>k << 2)) << 2);
    store<f32>(at, load<f32>(at) + load<f32>(values + (<usize>k << 2)));
  }
}

/** x[ids[k]] −= presence + frequency · counts[k] for each of the `count` distinct ids (i32); counts: i32. */
export function presence_frequency_f32(
  x: usize,
  ids: usize,
  counts: usize,
  count: i32,
  presence: f32,
  frequency: f32,
): void {
  for (let k = 0; k < count; k++) {
    const at = x + (<usize>load<i32>(ids + (<usize>k << 2)) << 2);
    store<f32>(at, load<f32>(at) - (presence + frequency * <f32>load<i32>(counts + (<usize>k << 2))));
  }
}
