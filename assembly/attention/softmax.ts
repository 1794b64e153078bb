import { expF32 } from "../ops/exp";
import { hoisted, max4, opaqueZero, sum4 } from "./layout";
import { storeSteps } from "./product";

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
export function below(first: i32, count: i32): v128 {
  return i32x4.lt_s(i32x4.add(i32x4.splat(first), i32x4(0, 1, 2, 3)), i32x4.splat(count));
}

/**
 * Turns 64 integer scores of a tile into f32, (score − correction)·scale of the key, in place; lanes from `count` on
 * become −∞. `scales` may be 0 when all are 1. Returns the largest per lane together with `most`.
 */
// @ts-ignore: decorator
@inline
export function scaleScores(scores: usize, correction: i32, scales: usize, count: i32, most: v128): v128 {
  const less = i32x4.splat(correction);
  const end = scores + (<usize>(count & ~3) << 2);
  if (scales)
    for (; scores < end; scores += 16, scales += 16) {
      const x = f32x4.mul(f32x4.convert_i32x4_s(i32x4.sub(v128.load(scores), less)), v128.load(scales));
      v128.store(scores, x);
      most = f32x4.pmax(most, x);
    }
  else
    for (; scores < end; scores += 16) {
      const x = f32x4.convert_i32x4_s(i32x4.sub(v128.load(scores), less));
      v128.store(scores, x);
      most = f32x4.pmax(most, x);
    }
  if (count & 3) {
    let x = f32x4.convert_i32x4_s(i32x4.sub(v128.load(scores), less));
    if (scales) x = f32x4.mul(x, v128.load(scales));
    x = v128.bitselect(x, f32x4.splat(-Infinity), below(0, count & 3));
    v128.store(scores, x);
    most = f32x4.pmax(most, x);
  }
  return most;
}

/** 2^((score − most)·scale) in place, in groups of four; as in Cephes `exp2f` (S. Moshier, public domain), clamped at 2^−80; `masked`: 0 for −∞. */
// @ts-ignore: decorator
@inline
export function exponentials(scores: usize, keys: i32, most: f32, scale: f32, masked: bool): void {
  const zero = opaqueZero();
  const least = hoisted(f32x4.splat(-80.0), zero);
  const magic = hoisted(f32x4.splat(12582912.0), zero);
  const c6 = hoisted(f32x4.splat(1.535336188319500e-4), zero);
  const c5 = hoisted(f32x4.splat(1.339887440266574e-3), zero);
  const c4 = hoisted(f32x4.splat(9.618437357674640e-3), zero);
  const c3 = hoisted(f32x4.splat(5.550332471162809e-2), zero);
  const c2 = hoisted(f32x4.splat(2.402264791363012e-1), zero);
  const c1 = hoisted(f32x4.splat(6.931472028550421e-1), zero);
  const one = hoisted(f32x4.splat(1.0), zero);
  const none = masked ? hoisted(f32x4.splat(-Infinity), zero) : zero;
  const shift = f32x4.splat(most);
  const factor = f32x4.splat(scale);
  for (const end = scores + (<usize>keys << 2); scores < end; scores += 16) {
    const score = v128.load(scores);
    const x = f32x4.pmax(least, f32x4.mul(f32x4.sub(score, shift), factor));
    const bits = f32x4.add(x, magic);
    const r = f32x4.sub(x, f32x4.sub(bits, magic));
    let p = f32x4.add(f32x4.mul(c6, r), c5);
    p = f32x4.add(f32x4.mul(p, r), c4);
    p = f32x4.add(f32x4.mul(p, r), c3);
    p = f32x4.add(f32x4.mul(p, r), c2);
    p = f32x4.add(f32x4.mul(p, r), c1);
    p = f32x4.add(f32x4.mul(p, r), one);
    const power = i32x4.add(p, i32x4.shl(bits, 23));
    v128.store(scores, masked ? v128.and(power, f32x4.gt(score, none)) : power);
  }
}

/**
 * Rounds the weights from `from` to `end`, of which `largest` holds the largest per lane, to 7 bits with one scale, which it
 * stores. Returns where the next codes go.
 */
// @ts-ignore: decorator
@inline
export function tileCodes(codes: usize, tileScale: usize, from: usize, end: usize, largest: v128, magic: v128): usize {
  const top = max4(largest);
  store<f32>(tileScale, top / 127.0);
  const inverse = f32x4.splat(top > 1e-36 ? 127.0 / top : 0);
  // x + 1.5·2²³ has x, rounded half to even, in its low bits.
  for (let at = from; at < end; at += 64) {
    const a = f32x4.add(f32x4.mul(v128.load(at), inverse), magic);
    const b = f32x4.add(f32x4.mul(v128.load(at, 16), inverse), magic);
    const c = f32x4.add(f32x4.mul(v128.load(at, 32), inverse), magic);
    const d = f32x4.add(f32x4.mul(v128.load(at, 48), inverse), magic);
    codes = storeSteps(
      codes,
      i16x8.narrow_i32x4_s(i32x4.sub(a, magic), i32x4.sub(b, magic)),
      i16x8.narrow_i32x4_s(i32x4.sub(c, magic), i32x4.sub(d, magic)),
    );
  }
  return codes;
}

/**
 * Weights of a row of `keys` scores, tile by tile: p = 2^((score − most)·scale), added to `sum` per lane, which is returned;
 * w = p·(scale of the value), rounded to 7 bits with one scale per tile. Codes after the last key of a tile are 0.
 * Overwrites the scores.
 * Where p < `cut` it becomes 0, but not in the tile `sinkTile` and not in tiles that reach beyond key `newest`.
 * Keys before `from` weigh nothing.
 * @param tileScales f32, one per tile
 * @param valuePages, valueScales table of page addresses from the first tile on, and where a page has its scales
 */
export function rowWeights(
  sum: v128,
  codes: usize,
  tileScales: usize,
  scores: usize,
  most: f32,
  scale: f32,
  valuePages: usize,
  valueScales: usize,
  keys: i32,
  cut: f32,
  sinkTile: i32,
  newest: i32,
  from: i32,
): v128 {
  const magic = hoisted(f32x4.splat(12582912.0), opaqueZero());
  exponentials(scores, keys, most, scale, false);
  if (from > 0) memory.fill(scores, 0, <usize>from << 2);
  for (let tile = 0; tile < keys; tile += 64, scores += 256, tileScales += 4, valuePages += 4) {
    const count = min(64, keys - tile);
    const values = <usize>load<u32>(valuePages) + valueScales - scores;
    let largest = f32x4.splat(0);
    const end = scores + <usize>((count + 3) << 2 & ~15);
    for (let at = end; at < scores + 256; at += 16) v128.store(at, f32x4.splat(0));
    if (count & 3) v128.store(end - 16, v128.and(v128.load(end - 16), below(0, count & 3)));
    if (cut > 0 && tile != sinkTile && tile + 63 <= newest) {
      const lowest = f32x4.splat(cut);
      for (let at = scores; at < end; at += 16) {
        const p = v128.load(at);
        v128.store(at, v128.and(p, f32x4.ge(p, lowest)));
      }
    }
    for (let at = scores; at < end; at += 16) {
      const p = v128.load(at);
      sum = f32x4.add(sum, p);
      const w = f32x4.mul(p, v128.load(at + values));
      v128.store(at, w);
      largest = f32x4.pmax(largest, w);
    }
    if (count & 3) v128.store(end - 16, v128.and(v128.load(end - 16), below(0, count & 3)));
    codes = tileCodes(codes, tileScales, scores, scores + 256, largest, magic);
  }
  return sum;
}

/**
 * `scaleScores` of the keys `from` … `count` − 1 of a range, whose pages are in the table `keys` and their scales at
 * `scalesAt` of a page (all 1 when `scalesAt` is 0). Scores before `from` are left as they are.
 */
export function scaleRange(scores: usize, correction: i32, keys: usize, scalesAt: usize, from: i32, count: i32): f32 {
  let largest = f32x4.splat(-Infinity);
  for (let k = from & ~63; k < count; k += 64) {
    const at = scores + (<usize>k << 2);
    const scales = scalesAt ? <usize>load<u32>(keys + (<usize>(k >> 6) << 2)) + scalesAt : 0;
    const some = min(64, count - k);
    if (k >= from) {
      largest = scaleScores(at, correction, scales, some, largest);
      continue;
    }
    scaleScores(at, correction, scales, some, f32x4.splat(-Infinity));
    for (let key = from - k; key < some; key++)
      largest = f32x4.pmax(largest, v128.load32_splat(at + (<usize>key << 2)));
  }
  return max4(largest);
}

/** What a weight must reach in a range whose largest logit is `top`: `cutoff` of the largest weight that is known of the row. */
// @ts-ignore: decorator
@inline
export function rangeCutoff(cutoff: f32, peak: f32, top: f32): f32 {
  return cutoff * (peak > top ? expF32(peak - top) : 1);
}

/** Merges the state of a later range into `state`: both are rescaled to the larger m. */
export function mergeState(state: usize, part: usize, headDim: i32): void {
  const row = <usize>headDim << 2;
  const m = load<f32>(state + row);
  const n = load<f32>(part + row);
  // A range in which the row has no keys.
  if (!(n > -Infinity)) return;
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
 * Merges `parts` states per row, `partStride` bytes apart and in the order of their ranges, into the first.
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

/** The state of a row that has no keys in a range. */
export function clearState(state: usize, headDim: i32): void {
  memory.fill(state, 0, <usize>headDim << 2);
  store<f32>(state + (<usize>headDim << 2), -Infinity);
  store<f32>(state + (<usize>headDim << 2), 0, 4);
}

/** Writes m and l of a row's state. */
// @ts-ignore: decorator
@inline
export function storeState(state: usize, headDim: i32, m: f32, sum: v128): void {
  store<f32>(state + (<usize>headDim << 2), m);
  store<f32>(state + (<usize>headDim << 2), sum4(sum), 4);
}
