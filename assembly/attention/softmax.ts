import { expF32, expF32x4 } from "../ops/exp";
import { max4, sum4 } from "./layout";
import { STEP, storeStep } from "./product";

// The state of a query row, f32: [headDim] weighted sum of values, then the largest logit m, the sum of the weights l
// (both relative to e^m), 2 unused.

/** Bytes of the state of one row. */
// @ts-ignore: decorator
@inline
export function stateBytes(headDim: i32): usize {
  return (<usize>headDim << 2) + 16;
}

/** All ones in the lanes whose index `first + lane` is below `count`. */
// @ts-ignore: decorator
@inline
function below(first: i32, count: i32): v128 {
  return i32x4.lt_s(i32x4.add(i32x4.splat(first), i32x4(0, 1, 2, 3)), i32x4.splat(count));
}

/**
 * Turns 64 integer scores of a tile into f32, (score − correction)·scale of the key, in place; lanes from `count` on
 * become −∞. Returns the largest per lane together with `most`.
 */
// @ts-ignore: decorator
@inline
export function scaleScores(scores: usize, correction: i32, scales: usize, count: i32, most: v128): v128 {
  const less = i32x4.splat(correction);
  for (let k = 0; k < count; k += 4, scores += 16, scales += 16) {
    let x = f32x4.mul(f32x4.convert_i32x4_s(i32x4.sub(v128.load(scores), less)), v128.load(scales));
    if (k + 4 > count) x = v128.bitselect(x, f32x4.splat(-Infinity), below(k, count));
    v128.store(scores, x);
    most = f32x4.pmax(most, x);
  }
  return most;
}

/**
 * Weights of one tile: p = e^((score − most)·scale), added to `sum`; w = p·(scale of the value), rounded to 7 bits with
 * one scale for the tile, which is stored at `tileScale`. Codes from `count` on are 0. Overwrites the scores.
 */
// @ts-ignore: decorator
@inline
export function tileWeights(
  codes: usize,
  tileScale: usize,
  scores: usize,
  most: f32,
  scale: f32,
  valueScales: usize,
  count: i32,
  sum: v128,
): v128 {
  let largest = f32x4.splat(0);
  const shift = f32x4.splat(most);
  const factor = f32x4.splat(scale);
  let at = scores;
  for (let k = 0; k < count; k += 4, at += 16, valueScales += 16) {
    let p = expF32x4(f32x4.mul(f32x4.sub(v128.load(at), shift), factor));
    let v = v128.load(valueScales);
    if (k + 4 > count) {
      const mask = below(k, count);
      p = v128.and(p, mask);
      v = v128.and(v, mask);
    }
    sum = f32x4.add(sum, p);
    const w = f32x4.mul(p, v);
    v128.store(at, w);
    largest = f32x4.pmax(largest, w);
  }
  const top = max4(largest);
  const inverse = f32x4.splat(top > 0 ? 127.0 / top : 0);
  store<f32>(tileScale, top / 127.0);
  for (let k = 0; k < 64; k += 4, codes += STEP, scores += 16) {
    if (k < count) {
      const code = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(scores), inverse)));
      storeStep(codes, i32x4.min_s(code, i32x4.splat(127)));
    } else storeStep(codes, i32x4.splat(0));
  }
  return sum;
}

/** Folds the state of a later range into `state`: both are rescaled to the larger m. */
export function mergeState(state: usize, part: usize, headDim: i32): void {
  const row = <usize>headDim << 2;
  const m = load<f32>(state + row);
  const n = load<f32>(part + row);
  const most = m < n ? n : m;
  const a = expF32(m - most);
  const b = expF32(n - most);
  store<f32>(state + row, most);
  store<f32>(state + row, load<f32>(state + row, 4) * a + load<f32>(part + row, 4) * b, 4);
  for (let i: usize = 0; i < row; i += 16)
    v128.store(
      state + i,
      f32x4.add(
        f32x4.mul(v128.load(state + i), f32x4.splat(a)),
        f32x4.mul(v128.load(part + i), f32x4.splat(b)),
      ),
    );
}

/**
 * Folds `parts` states per row, `partStride` bytes apart and in the order of their ranges, into the first.
 * @param states f32 [rows][headDim + 4]
 */
export function attention_merge(states: usize, rows: i32, partStride: usize, parts: i32, headDim: i32): void {
  for (let row = 0; row < rows; row++, states += stateBytes(headDim))
    for (let part = 1; part < parts; part++) mergeState(states, states + <usize>part * partStride, headDim);
}

/**
 * Divides by the sum of the weights: out[row] = values / l. Rows are [token][group]; tokens of out are `stride` bytes apart.
 * @param states f32 [rows][headDim + 4]
 */
export function attention_finish(
  out: usize,
  stride: usize,
  states: usize,
  rows: i32,
  group: i32,
  headDim: i32,
): void {
  const bytes = <usize>headDim << 2;
  for (let row = 0; row < rows; row++, states += stateBytes(headDim)) {
    const l = f32x4.splat(load<f32>(states + bytes, 4));
    const to = out + <usize>(row / group) * stride + <usize>(row % group) * bytes;
    for (let i: usize = 0; i < bytes; i += 16) v128.store(to + i, f32x4.div(v128.load(states + i), l));
  }
}

/** Writes m and l of a row's state. */
// @ts-ignore: decorator
@inline
export function storeState(state: usize, headDim: i32, m: f32, sum: v128): void {
  store<f32>(state + (<usize>headDim << 2), m);
  store<f32>(state + (<usize>headDim << 2), sum4(sum), 4);
}
