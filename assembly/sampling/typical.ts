import { weight } from "./likelihood";

/**
 * Locally typical sampling (Meister et al. 2022): of candidates sorted by `top_n_f32`, keeps those whose surprise is
 * nearest to the entropy of all of them until their probabilities reach typicalP; equally near ones from the
 * entropy's place outwards, the likelier side first. Surprise grows along the candidates, so those kept stand side by side: range = [first, how many] (i32 [2]).
 * Probabilities as in `draw_candidate`; sums in f64, in order.
 */
export function typical_f32(range: usize, values: usize, count: i32, temperature: f32, typicalP: f64): void {
  const largest = load<f32>(values);
  let total: f64 = 0;
  let mean: f64 = 0;
  for (let i = 0; i < count; i++) {
    const d = load<f32>(values + (<usize>i << 2)) - largest;
    const w = <f64>weight(d, temperature);
    if (w == 0) {
      count = i;
      break;
    }
    total += w;
    mean += w * <f64>(d / temperature);
  }
  // −ln p = ln total − d/temperature, and the entropy is the mean of that: ln total cancels in their difference.
  mean /= total;
  let right = 0;
  while (right < count && distance(values, right, largest, temperature, mean) < 0) right++;
  let left = right - 1;
  const target = typicalP * total;
  let sum: f64 = 0;
  while (sum < target && (left >= 0 || right < count)) {
    const before = left >= 0 ? -distance(values, left, largest, temperature, mean) : Infinity;
    const after = right < count ? distance(values, right, largest, temperature, mean) : Infinity;
    const next = before <= after ? left-- : right++;
    sum += <f64>weight(load<f32>(values + (<usize>next << 2)) - largest, temperature);
  }
  store<i32>(range, left + 1);
  store<i32>(range, right - left - 1, 4);
}

/** Surprise of candidate i less the entropy. */
// @ts-ignore: decorator
@inline
function distance(values: usize, i: i32, largest: f32, temperature: f32, mean: f64): f64 {
  return mean - <f64>((load<f32>(values + (<usize>i << 2)) - largest) / temperature);
}
