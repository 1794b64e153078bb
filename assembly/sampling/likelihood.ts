import { expF32, expF32x4 } from "../ops/exp";
import { logF64 } from "../ops/log";
import { canonical, clean, cleanX4 } from "./number";
import { argmax_f32, top_n_f32 } from "./select";

/** e^(d / temperature) for d ≤ 0, and 0 where that is below e^−87. */
// @ts-ignore: decorator
@inline
export function weight(d: f32, temperature: f32): f32 {
  const scaled = d / temperature;
  return scaled >= -87.0 ? expF32(scaled) : 0.0;
}

/** `weight` on four lanes. */
// @ts-ignore: decorator
@inline
function weightX4(d: v128, temperature: v128): v128 {
  const scaled = f32x4.div(d, temperature);
  return v128.and(expF32x4(scaled), f32x4.ge(scaled, f32x4.splat(-87.0)));
}

/**
 * Σ e^((x[i] − largest) / temperature) over x[0 … count) in f64: lane j adds the terms i ≡ j (mod 4) of the whole
 * vectors in order, then (lane 0 + lane 2) + (lane 1 + lane 3), then the rest in order. NaN and −∞ add 0.
 */
export function sum_exp_f32(x: usize, count: i32, largest: f32, temperature: f32): f64 {
  const shift = f32x4.splat(clean(largest));
  const divisor = f32x4.splat(temperature);
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  const whole = count & ~3;
  for (let i = 0; i < whole; i += 4) {
    const e = weightX4(f32x4.sub(cleanX4(v128.load(x + (<usize>i << 2))), shift), divisor);
    low = f64x2.add(low, f64x2.promote_low_f32x4(e));
    high = f64x2.add(high, f64x2.promote_low_f32x4(i32x4.shuffle(e, e, 2, 3, 2, 3)));
  }
  const both = f64x2.add(low, high);
  let sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
  for (let i = whole; i < count; i++)
    sum += <f64>weight(clean(load<f32>(x + (<usize>i << 2))) - clean(largest), temperature);
  return sum;
}

/** ln Σ e^x[i] over x[0 … count); NaN when no x is a number above −∞. */
export function logsumexp_f32(x: usize, count: i32): f64 {
  const at = argmax_f32(x, count);
  if (at < 0) return NaN;
  const largest = clean(load<f32>(x + (<usize>at << 2)));
  return <f64>largest + logF64(sum_exp_f32(x, count, largest, 1.0));
}

/** ln of the softmax of x[0 … count) at `id`, rounded to f32; −∞ where x[id] is −∞, NaN where it is NaN. */
export function logprob_f32(x: usize, count: i32, id: i32): f32 {
  return logprob_given_f32(x, id, logsumexp_f32(x, count));
}

/** The same where ln Σ e^x is known: `logprob_f32(x, count, id)` = `logprob_given_f32(x, id, logsumexp_f32(x, count))`. */
export function logprob_given_f32(x: usize, id: i32, logsumexp: f64): f32 {
  return canonical(<f32>(<f64>min<f32>(load<f32>(x + (<usize>id << 2)), f32.MAX_VALUE) - logsumexp));
}

/**
 * The n likeliest of x[0 … count) as `top_n_f32` orders them: logprobs (f32 [n]) and ids (i32 [n]). Returns how many.
 * @param logsumexp `logsumexp_f32(x, count)`
 */
export function top_logprobs_f32(logprobs: usize, ids: usize, x: usize, count: i32, n: i32, logsumexp: f64): i32 {
  const found = top_n_f32(logprobs, ids, x, count, n);
  for (let i = 0; i < found; i++) {
    const at = logprobs + (<usize>i << 2);
    store<f32>(at, <f32>(<f64>load<f32>(at) - logsumexp));
  }
  return found;
}

/**
 * For each of `rows` rows of logits (f32 [rows, vocab]): out[row] (f32) = `logprob_f32` of ids[row] (i32), and, unless
 * `best` is 0, best[row] (i32) = `argmax_f32` of the row.
 */
export function token_logprobs(out: usize, best: usize, logits: usize, ids: usize, rows: i32, vocab: i32): void {
  for (let row = 0; row < rows; row++) {
    const x = logits + (<usize>row * <usize>vocab << 2);
    store<f32>(out + (<usize>row << 2), logprob_f32(x, vocab, load<i32>(ids + (<usize>row << 2))));
    if (best) store<i32>(best + (<usize>row << 2), argmax_f32(x, vocab));
  }
}
