// The gated half of a feed-forward network with relu²: rows of `up` whose gate is not positive are left out, for each token
// on its own. What is computed has the bits of `gemv_ternary` and `relu2_gate`; what is left out would have been zero.
import { Gated } from "../../abi/gated";
import { Product } from "../../abi/product";
import { hiddenBytes, hiddenShorts } from "../opaque";
import { count64, putGated, rectify, sumsAcross } from "./gates";
import { gemm_ternary } from "./ternary-gemm";
import { lineBytes, rowsToPanels } from "./ternary-order";
import { manyTokens } from "./ternary-rows-many";

/** Rows that `token`'s gate lets pass, to `list`; returns how many. */
// @ts-ignore: decorator
@inline
function listRows(list: usize, gate: usize, rowStart: i32, rowEnd: i32): i32 {
  const zero = f32x4.splat(0);
  let n = list;
  for (let row = rowStart; row < rowEnd; row += 4) {
    const bits = rectify(gate + (<usize>row << 2), zero);
    store<i32>(n, row);
    n += (bits & 1) << 2;
    store<i32>(n, row + 1);
    n += (bits & 2) << 1;
    store<i32>(n, row + 2);
    n += bits & 4;
    store<i32>(n, row + 3);
    n += (bits & 8) >> 1;
  }
  return <i32>(n - list) >> 2;
}

/** Pair sums of x · (codes under the mask): 16-bit lanes in the relaxed build, 32-bit lanes in the other. */
// @ts-ignore: decorator
@inline
function plusDot(acc: v128, x: v128, codes: v128, mask: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD
    ? i16x8.add(acc, i16x8.relaxed_dot_i8x16_i7x16_s(x, v128.and(codes, mask)))
    : i32x4.add(acc, i32x4.dot_i16x8_s(x, v128.and(codes, mask)));
}

/** 16-bit lanes hold the codes of two rounds. */
const HALVES: i32 = ASC_FEATURE_RELAXED_SIMD ? 1 : 2;
/** Bytes of x that one 16-byte vector of codes meets. */
const X_STEP: usize = ASC_FEATURE_RELAXED_SIMD ? 64 : 128;

/**
 * x as the codes of a row meet it. Relaxed build: bytes in order, just copied. The other: 16-bit codes, per 64 columns the
 * even ones of the four 16 columns, then the odd ones. Padded with zeros to 64.
 */
// @ts-ignore: decorator
@inline
function arrangeInput(to: usize, codes: usize, padded: i32): void {
  const end = codes + padded;
  for (; codes < end; codes += 64, to += X_STEP)
    for (let i: usize = 0; i < 64; i += 16) {
      const v = codes + i < end ? v128.load(codes + i) : i8x16.splat(0);
      if (ASC_FEATURE_RELAXED_SIMD) v128.store(to + i, v);
      else {
        v128.store(to + i, i16x8.shr_s(i16x8.shl(v, 8), 8));
        v128.store(to + i, i16x8.shr_s(v, 8), 64);
      }
    }
}

/** Adds one vector of codes of a row to its sums; `b` holds four times its sum. */
// @ts-ignore: decorator
@inline
function step(a: v128, w: v128, x0: v128, x1: v128, mask: v128): v128 {
  return plusDot(plusDot(a, x0, w, mask), x1, i16x8.shr_u(w, 4), mask);
}

/** Parts of the list of active rows, one row of each of which is asked for at a time: more lines wait for memory together. */
const PARTS: usize = 16;

/** One token: the list of active rows in 16 parts; one row of each is asked for, then four at a time are computed. */
// @ts-ignore: decorator
@inline
function oneToken(job: Gated, rowStart: i32, rowEnd: i32): void {
  const columns = job.columns;
  const padded = (columns + 31) & ~31;
  const line = lineBytes(columns);
  const record = job.activations;
  const input = job.scratch;
  const list = input + (line << 3);
  const low = ASC_FEATURE_RELAXED_SIMD ? hiddenBytes(0x03) : hiddenShorts(0x03);
  const next = ASC_FEATURE_RELAXED_SIMD ? hiddenBytes(0x0c) : hiddenShorts(0x0c);
  arrangeInput(input, record + 16, padded);
  const gate = job.gate;
  const weights = job.weights;
  const count = listRows(list, gate, rowStart, rowEnd);
  const end = list + (<usize>count << 2);
  // The last part is filled up with the last row.
  const last = count > 0 ? load<i32>(end - 4) : 0;
  for (let i: usize = 0; i < 4 * (PARTS - 1); i += 4) store<i32>(end + i, last);
  const part = ((<usize>count + PARTS - 1) / PARTS) << 2;
  let touched = 0;
  for (let first = list, stopAt = list + part; first < stopAt; first += 4) {
    for (let from = weights, lines = weights + line; from < lines; from += 64)
      for (let at = first, all = first + PARTS * part; at < all; at += part)
        touched += load<i32>(from + <usize>load<i32>(at) * line);
    for (let at = first; at < first + PARTS * part && at < end; at += 4 * part) {
      const row0 = <usize>load<i32>(at);
      const row1 = <usize>load<i32>(at + part);
      const row2 = <usize>load<i32>(at + 2 * part);
      const row3 = <usize>load<i32>(at + 3 * part);
      let w0 = weights + row0 * line;
      let w1 = weights + row1 * line;
      let w2 = weights + row2 * line;
      let w3 = weights + row3 * line;
      let s0 = i32x4.splat(0);
      let s1 = s0;
      let s2 = s0;
      let s3 = s0;
      const stop = w0 + line;
      for (let x = input; w0 < stop; ) {
        // 16-bit sums last 512 columns: `b` 16 · (2 · 127 · 8) = 32512, `a` and b / 4 half as much.
        const pause = ASC_FEATURE_RELAXED_SIMD ? min<usize>(w0 + 128, stop) : stop;
        let a0 = i16x8.splat(0);
        let a1 = a0;
        let a2 = a0;
        let a3 = a0;
        let b0 = a0;
        let b1 = a0;
        let b2 = a0;
        let b3 = a0;
        for (; w0 < pause; w0 += 16, w1 += 16, w2 += 16, w3 += 16) {
          let v0 = v128.load(w0);
          let v1 = v128.load(w1);
          let v2 = v128.load(w2);
          let v3 = v128.load(w3);
          for (let half = 0; half < HALVES; half++, x += 64) {
            const p = v128.load(x);
            const q = v128.load(x, 32);
            a0 = step(a0, v0, p, q, low);
            a1 = step(a1, v1, p, q, low);
            a2 = step(a2, v2, p, q, low);
            a3 = step(a3, v3, p, q, low);
            const r = v128.load(x, 16);
            const s = v128.load(x, 48);
            b0 = step(b0, v0, r, s, next);
            b1 = step(b1, v1, r, s, next);
            b2 = step(b2, v2, r, s, next);
            b3 = step(b3, v3, r, s, next);
            if (!ASC_FEATURE_RELAXED_SIMD) {
              v0 = i16x8.shr_u(v0, 8);
              v1 = i16x8.shr_u(v1, 8);
              v2 = i16x8.shr_u(v2, 8);
              v3 = i16x8.shr_u(v3, 8);
            }
          }
        }
        s0 = i32x4.add(s0, joined(a0, b0));
        s1 = i32x4.add(s1, joined(a1, b1));
        s2 = i32x4.add(s2, joined(a2, b2));
        s3 = i32x4.add(s3, joined(a3, b3));
      }
      const sums = sumsAcross(s0, s1, s2, s3);
      const scale = job.scale;
      putGated(gate + (row0 << 2), i32x4.extract_lane(sums, 0), record, scale);
      if (at + part < end) putGated(gate + (row1 << 2), i32x4.extract_lane(sums, 1), record, scale);
      if (at + 2 * part < end) putGated(gate + (row2 << 2), i32x4.extract_lane(sums, 2), record, scale);
      if (at + 3 * part < end) putGated(gate + (row3 << 2), i32x4.extract_lane(sums, 3), record, scale);
    }
  }
  // What was touched counts as used.
  store<i32>(list, touched);
  count64(job.counters, count, rowEnd - rowStart - count);
}

/** a + b / 4 as 32-bit lanes. */
// @ts-ignore: decorator
@inline
function joined(a: v128, b: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD
    ? i32x4.extadd_pairwise_i16x8_s(i16x8.add(a, i16x8.shr_s(b, 2)))
    : i32x4.add(a, i32x4.shr_s(b, 2));
}

/**
 * gate = relu(gate)² · (up · x) for rows `rowStart` (a multiple of 4) to `rowEnd` − 1 of all tokens; only products that a
 * gate lets pass are computed. Rows are a multiple of 4.
 */
export function gated_ternary(job: Gated, rowStart: i32, rowEnd: i32): void {
  if (job.tokens == 1) oneToken(job, rowStart, rowEnd);
  else manyTokens(job, rowStart, rowEnd);
}

/** Every product of layout `ternary-rows`: by way of layout `ternary`, 64 rows at a time. */
export function gemm_ternary_rows(product: Product, rowStart: i32, rowEnd: i32): void {
  const weights = product.weights;
  const columns = product.columns;
  const panels = product.scratch;
  const strip = <usize>((columns + 31) & ~31) << 4;
  product.scratch = panels + strip;
  for (let row = rowStart; row < rowEnd; row += 64) {
    const end = min(row + 64, rowEnd);
    rowsToPanels(panels, weights, row, end - row, columns);
    product.weights = panels - <usize>(row >> 3) * (strip >> 3);
    gemm_ternary(product, row, end);
  }
  product.weights = weights;
  product.scratch = panels;
}
