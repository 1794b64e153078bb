import { QueryRows } from "../abi";
import { expWith } from "../ops/exp";
import { hoisted, opaqueZero, pageOf, RANGE } from "./layout";
import { stateBytes } from "./softmax";

/** Rows that are computed together, a lane each: every key and value is then read once for several of them. */
export const TILE: i32 = 4;

/** Keys of the range that a row sees end here. */
// @ts-ignore: decorator
@inline
export function countOf(rows: QueryRows, row: i32, start: i32): i32 {
  return min(RANGE, rows.position + row / rows.group + 1 - start);
}

/** And begin here. */
// @ts-ignore: decorator
@inline
export function fromOf(rows: QueryRows, row: i32, start: i32): i32 {
  return rows.window > 0 ? max(0, rows.position + row / rows.group + 1 - rows.window - start) : 0;
}

// @ts-ignore: decorator
@inline
export function queryOf(rows: QueryRows, row: i32): usize {
  const group = rows.cache.group;
  return rows.queries + <usize>(row / group) * rows.stride + <usize>(row % group) * (<usize>rows.cache.headDim << 2);
}

/** Sums of four vectors, each as `sum4`. */
// @ts-ignore: decorator
@inline
function sumsOf(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<i64>(a, b, 0, 2), v128.shuffle<i64>(a, b, 1, 3));
  const cd = f32x4.add(v128.shuffle<i64>(c, d, 0, 2), v128.shuffle<i64>(c, d, 1, 3));
  return f32x4.add(v128.shuffle<i32>(ab, cd, 0, 2, 4, 6), v128.shuffle<i32>(ab, cd, 1, 3, 5, 7));
}

/** The states of four rows; each has a key that all of them see. Scores and weights are [key][row]. */
export function fourRows(states: usize, rows: QueryRows, row: i32, start: i32): void {
  const cache = rows.cache;
  const headDim = cache.headDim;
  const work = rows.work;
  const bytes = <usize>headDim << 2;
  const offset = <usize>rows.slot * (bytes << 6);
  const least = fromOf(rows, row, start);
  const most = countOf(rows, row + 3, start);
  const whole = (most + 3) & ~3;
  const root = f32x4.splat(1.0 / sqrt<f32>(<f32>headDim));
  const q0 = queryOf(rows, row);
  const q1 = queryOf(rows, row + 1);
  const q2 = queryOf(rows, row + 2);
  const q3 = queryOf(rows, row + 3);
  // Two keys at once: the second may be none, but then it is room of the same page.
  for (let k = least & ~1; k < most; k += 2) {
    const key = pageOf(cache.keys, start + k) + offset + <usize>(k & 63) * bytes;
    const next = key + bytes;
    let a0 = f32x4.splat(0);
    let a1 = a0;
    let a2 = a0;
    let a3 = a0;
    let b0 = a0;
    let b1 = a0;
    let b2 = a0;
    let b3 = a0;
    for (let i: usize = 0; i < bytes; i += 32) {
      let a = v128.load(key + i);
      let b = v128.load(next + i);
      let q = v128.load(q0 + i);
      a0 = f32x4.add(a0, f32x4.mul(q, a));
      b0 = f32x4.add(b0, f32x4.mul(q, b));
      q = v128.load(q1 + i);
      a1 = f32x4.add(a1, f32x4.mul(q, a));
      b1 = f32x4.add(b1, f32x4.mul(q, b));
      q = v128.load(q2 + i);
      a2 = f32x4.add(a2, f32x4.mul(q, a));
      b2 = f32x4.add(b2, f32x4.mul(q, b));
      q = v128.load(q3 + i);
      a3 = f32x4.add(a3, f32x4.mul(q, a));
      b3 = f32x4.add(b3, f32x4.mul(q, b));
      a = v128.load(key + i, 16);
      b = v128.load(next + i, 16);
      q = v128.load(q0 + i, 16);
      a0 = f32x4.add(a0, f32x4.mul(q, a));
      b0 = f32x4.add(b0, f32x4.mul(q, b));
      q = v128.load(q1 + i, 16);
      a1 = f32x4.add(a1, f32x4.mul(q, a));
      b1 = f32x4.add(b1, f32x4.mul(q, b));
      q = v128.load(q2 + i, 16);
      a2 = f32x4.add(a2, f32x4.mul(q, a));
      b2 = f32x4.add(b2, f32x4.mul(q, b));
      q = v128.load(q3 + i, 16);
      a3 = f32x4.add(a3, f32x4.mul(q, a));
      b3 = f32x4.add(b3, f32x4.mul(q, b));
    }
    const at = work + (<usize>k << 4);
    v128.store(at, f32x4.mul(sumsOf(a0, a1, a2, a3), root));
    v128.store(at, f32x4.mul(sumsOf(b0, b1, b2, b3), root), 16);
  }
  maskScores(rows, row, start, least, whole);
  let top = f32x4.splat(-Infinity);
  for (let k = least; k < whole; k++) top = f32x4.pmax(top, v128.load(work + (<usize>k << 4)));
  const total = weigh(work, least, whole, top);
  const size = stateBytes(headDim);
  v128.store32_lane(states + bytes, top, 0);
  v128.store32_lane(states + size + bytes, top, 1);
  v128.store32_lane(states + 2 * size + bytes, top, 2);
  v128.store32_lane(states + 3 * size + bytes, top, 3);
  v128.store32_lane(states + bytes, total, 0, 4);
  v128.store32_lane(states + size + bytes, total, 1, 4);
  v128.store32_lane(states + 2 * size + bytes, total, 2, 4);
  v128.store32_lane(states + 3 * size + bytes, total, 3, 4);
  // Keys that all four rows see, page by page, which the nearest cache holds; before and after them row by row.
  const from = fromOf(rows, row + 3, start);
  const count = countOf(rows, row, start);
  for (let r = 0; r < TILE; r++) {
    memory.fill(states + <usize>r * size, 0, bytes);
    const own = fromOf(rows, row + r, start);
    addValues(states + <usize>r * size, work + (<usize>r << 2), 16, cache.values, offset, start, own, from, bytes);
  }
  for (let k = from; k < count; ) {
    const values = pageOf(cache.values, start + k) + offset + <usize>(k & 63) * bytes;
    const end = min(count, (k | 63) + 1);
    addFour(states, size, work + (<usize>k << 4), values, end - k, bytes);
    k = end;
  }
  for (let r = 0; r < TILE; r++) {
    const own = countOf(rows, row + r, start);
    addValues(states + <usize>r * size, work + (<usize>r << 2), 16, cache.values, offset, start, count, own, bytes);
  }
}

/** Adds to the sums of four rows, `size` bytes apart, `count` values that lie together by their weights, [value][row], in order. */
function addFour(states: usize, size: usize, weights: usize, values: usize, count: i32, bytes: usize): void {
  const end = weights + (<usize>count << 4);
  // Eight elements: sixteen of two rows take as many loads, but a quarter more time.
  for (let i: usize = 0; i < bytes; i += 32, states += 32, values += 32) {
    const second = states + size;
    const third = second + size;
    const fourth = third + size;
    let a0 = v128.load(states);
    let a1 = v128.load(states, 16);
    let b0 = v128.load(second);
    let b1 = v128.load(second, 16);
    let c0 = v128.load(third);
    let c1 = v128.load(third, 16);
    let d0 = v128.load(fourth);
    let d1 = v128.load(fourth, 16);
    for (let w = weights, value = values; w < end; w += 16, value += bytes) {
      const x = v128.load(value);
      const y = v128.load(value, 16);
      let p = v128.load32_splat(w);
      a0 = f32x4.add(a0, f32x4.mul(p, x));
      a1 = f32x4.add(a1, f32x4.mul(p, y));
      p = v128.load32_splat(w, 4);
      b0 = f32x4.add(b0, f32x4.mul(p, x));
      b1 = f32x4.add(b1, f32x4.mul(p, y));
      p = v128.load32_splat(w, 8);
      c0 = f32x4.add(c0, f32x4.mul(p, x));
      c1 = f32x4.add(c1, f32x4.mul(p, y));
      p = v128.load32_splat(w, 12);
      d0 = f32x4.add(d0, f32x4.mul(p, x));
      d1 = f32x4.add(d1, f32x4.mul(p, y));
    }
    v128.store(states, a0);
    v128.store(states, a1, 16);
    v128.store(second, b0);
    v128.store(second, b1, 16);
    v128.store(third, c0);
    v128.store(third, c1, 16);
    v128.store(fourth, d0);
    v128.store(fourth, d1, 16);
  }
}

/** Scores of keys that a row does not see become −∞; `least` is the first key of the first row, `whole` the end of the last. */
function maskScores(rows: QueryRows, row: i32, start: i32, least: i32, whole: i32): void {
  let from = i32x4.splat(least);
  from = i32x4.replace_lane(from, 1, fromOf(rows, row + 1, start));
  from = i32x4.replace_lane(from, 2, fromOf(rows, row + 2, start));
  from = i32x4.replace_lane(from, 3, fromOf(rows, row + 3, start));
  let count = i32x4.splat(countOf(rows, row, start));
  count = i32x4.replace_lane(count, 1, countOf(rows, row + 1, start));
  count = i32x4.replace_lane(count, 2, countOf(rows, row + 2, start));
  count = i32x4.replace_lane(count, 3, countOf(rows, row + 3, start));
  const none = f32x4.splat(-Infinity);
  const common = fromOf(rows, row + 3, start);
  for (let k = least; k < common; k++) maskKey(rows.work, k, from, count, none);
  for (let k = countOf(rows, row, start); k < whole; k++) maskKey(rows.work, k, from, count, none);
}

// @ts-ignore: decorator
@inline
function maskKey(work: usize, k: i32, from: v128, count: v128, none: v128): void {
  const key = i32x4.splat(k);
  const at = work + (<usize>k << 4);
  v128.store(at, v128.bitselect(v128.load(at), none, v128.and(i32x4.ge_s(key, from), i32x4.gt_s(count, key))));
}

/** Scores of the keys `first` … `end` − 1, a multiple of 4, to weights e^(score − top); returns the sum of each row. */
function weigh(work: usize, first: i32, end: i32, top: v128): v128 {
  const none = f32x4.splat(-Infinity);
  const zero = f32x4.splat(0);
  // Sums of the keys k, k + 4, k + 8 … as one row alone has them in its lanes.
  let s0 = zero;
  let s1 = zero;
  let s2 = zero;
  let s3 = zero;
  for (let k = first & ~3; k < first; k++) v128.store(work + (<usize>k << 4), none);
  const unseen = opaqueZero();
  const least = hoisted(f32x4.splat(-87.0), unseen);
  const greatest = hoisted(f32x4.splat(88.0), unseen);
  const log2e = hoisted(f32x4.splat(1.44269504088896341), unseen);
  const ln2High = hoisted(f32x4.splat(0.693359375), unseen);
  const ln2Low = hoisted(f32x4.splat(-2.12194440e-4), unseen);
  const c6 = hoisted(f32x4.splat(1.9875691500e-4), unseen);
  const c5 = hoisted(f32x4.splat(1.3981999507e-3), unseen);
  const c4 = hoisted(f32x4.splat(8.3334519073e-3), unseen);
  const c3 = hoisted(f32x4.splat(4.1665795894e-2), unseen);
  const c2 = hoisted(f32x4.splat(1.6666665459e-1), unseen);
  const c1 = hoisted(f32x4.splat(5.0000001201e-1), unseen);
  const one = hoisted(f32x4.splat(1.0), unseen);
  const magic = hoisted(f32x4.splat(12582912.0), unseen);
  const bias = hoisted(i32x4.splat(127 << 23), unseen);
  for (let k = first & ~3; k < end; k++) {
    const at = work + (<usize>k << 4);
    const x = v128.load(at);
    const e = expWith(
      f32x4.sub(x, top), least, greatest, log2e, ln2High, ln2Low, c6, c5, c4, c3, c2, c1, one, magic, bias,
    );
    const p = v128.and(e, f32x4.gt(x, none));
    v128.store(at, p);
    const sum = s0;
    s0 = s1;
    s1 = s2;
    s2 = s3;
    s3 = f32x4.add(sum, p);
  }
  return f32x4.add(f32x4.add(s0, s2), f32x4.add(s1, s3));
}

/** Adds to the sums of a row the values of the keys `from` … `end` − 1 by their weights, `step` bytes apart, in order. */
export function addValues(
  state: usize, weights: usize, step: usize, values: usize, offset: usize, start: i32, from: i32, end: i32, bytes: usize,
): void {
  if (from >= end) return;
  for (let i: usize = 0; i < bytes; i += 64, state += 64) {
    let a = v128.load(state);
    let b = v128.load(state, 16);
    let c = v128.load(state, 32);
    let d = v128.load(state, 48);
    for (let k = from; k < end; ) {
      let value = pageOf(values, start + k) + offset + <usize>(k & 63) * bytes + i;
      let w = weights + <usize>k * step;
      k = min(end, (k | 63) + 1);
      for (const stop = weights + <usize>k * step; w < stop; w += step, value += bytes) {
        const p = v128.load32_splat(w);
        a = f32x4.add(a, f32x4.mul(p, v128.load(value)));
        b = f32x4.add(b, f32x4.mul(p, v128.load(value, 16)));
        c = f32x4.add(c, f32x4.mul(p, v128.load(value, 32)));
        d = f32x4.add(d, f32x4.mul(p, v128.load(value, 48)));
      }
    }
    v128.store(state, a);
    v128.store(state, b, 16);
    v128.store(state, c, 32);
    v128.store(state, d, 48);
  }
}
