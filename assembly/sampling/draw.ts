import { weight } from "./likelihood";

/**
 * Repetition penalty: x[id] becomes x[id] / penalty where positive, x[id] · penalty where not, for each of the `count`
 * distinct ids (i32). Keskar et al. 2019, "CTRL".
 */
export function repetition_penalty_f32(x: usize, ids: usize, count: i32, penalty: f32): void {
  for (let i = 0; i < count; i++) {
    const at = x + (<usize>load<i32>(ids + (<usize>i << 2)) << 2);
    const value = load<f32>(at);
    store<f32>(at, value > 0 ? value / penalty : value * penalty);
  }
}

/**
 * Chooses among candidates sorted by `top_n_f32` (values: f32 [count]). Weights are e^((value − values[0]) /
 * temperature); the candidates kept are the longest prefix whose weights are ≥ minP (the first weighs 1), cut after
 * the one with which the sum of weights reaches topP · total. Returns the index of the first kept candidate with which
 * the sum of weights exceeds u · (sum of the kept), 0 ≤ u < 1. Sums in f64, in order.
 * @param total sum of the weights of all tokens that may be chosen; negative: those are the candidates given
 * @param more whether there are further, lower candidates; −1 is returned when they are needed to decide
 */
export function draw_candidate(
  values: usize,
  count: i32,
  total: f64,
  more: bool,
  temperature: f32,
  topP: f64,
  minP: f32,
  u: f64,
): i32 {
  const largest = load<f32>(values);
  if (total < 0) {
    total = 0;
    for (let i = 0; i < count; i++) total += <f64>weight(load<f32>(values + (<usize>i << 2)) - largest, temperature);
  }
  let kept = total;
  let keptCount = count;
  if (topP < 1 || minP > 0) {
    kept = 0;
    let cut = false;
    for (let i = 0; i < count; i++) {
      const w = weight(load<f32>(values + (<usize>i << 2)) - largest, temperature);
      cut = w < minP;
      if (cut) {
        keptCount = i;
        break;
      }
      kept += <f64>w;
      cut = topP < 1 && kept >= topP * total;
      if (cut) {
        keptCount = i + 1;
        break;
      }
    }
    if (!cut && more) return -1;
  }
  const target = u * kept;
  let sum: f64 = 0;
  let last = 0;
  for (let i = 0; i < keptCount; i++) {
    const w = <f64>weight(load<f32>(values + (<usize>i << 2)) - largest, temperature);
    if (w > 0) last = i;
    sum += w;
    if (sum > target) return i;
  }
  // Only rounding gets here: `total` was summed in another order.
  return more && keptCount == count ? -1 : last;
}
