// Ternary matrices × many tokens. 32 rows share one pass over the activations of up to 128 tokens; 1024 columns of them
// are unpacked at once and multiplied with four tokens at a time. The sums are integers, so the order does not matter.
import { Product } from "../../abi/product";
import { SEGMENT, GROUP_BYTES, PASS_GROUPS, SUM_BYTES, TOKEN_BATCH } from "../gemm-blocks";
import { hiddenShorts } from "../opaque";
import { centred, storeTernary } from "../store";
import { multiplyBytes, multiplyBytes32, putStarts, startBytes, unpackBytes } from "./ternary-bytes";

/**
 * Two rows in one number: value of row r + 2^14 · value of row r + 4, values −1, 0, 1. A product with an activation pair
 * then computes both rows; per 2 columns 16 bytes for the group, to every second place, so that two groups interleave.
 */
// @ts-ignore: decorator
@inline
function unpackRowPairs(to: usize, w: usize, columns: i32): void {
  const mask = hiddenShorts(3);
  const one = hiddenShorts(1 + (1 << 14));
  for (const end = w + ((<usize>columns) << 1); w < end; w += 32) {
    let v0 = v128.load(w);
    let v1 = v128.load(w, 16);
    for (let shift = 0; shift < 8; shift += 2, to += 64) {
      v128.store(to, i16x8.sub(v128.or(v128.and(v0, mask), i16x8.shl(v1, 14)), one));
      const u0 = i16x8.shr_u(v0, 8);
      const u1 = i16x8.shr_u(v1, 8);
      v128.store(to, i16x8.sub(v128.or(v128.and(u0, mask), i16x8.shl(u1, 14)), one), 32);
      v0 = i16x8.shr_u(v0, 2);
      v1 = i16x8.shr_u(v1, 2);
    }
  }
}

/** Splits pair sums: rows r to `to`, rows r + 4 behind them. */
// @ts-ignore: decorator
@inline
function split(to: usize, sum: v128): void {
  const low = i32x4.shr_s(i32x4.shl(sum, 18), 18);
  v128.store(to, i32x4.add(v128.load(to), low));
  v128.store(to, i32x4.add(v128.load(to, 16), i32x4.shr_s(i32x4.sub(sum, low), 14)), 16);
}

/** Row pairs of two groups × four tokens; the sums of the second group are at `other`. */
// @ts-ignore: decorator
@inline
function multiplyRowPairs(
  to: usize,
  other: usize,
  w: usize,
  r0: usize,
  r1: usize,
  r2: usize,
  r3: usize,
  columns: i32,
): void {
  for (let x: usize = 0; x < (<usize>columns) << 1; ) {
    // Within 64 columns the sum of a row, at most 32 · (2 · 127), fits the 14 bits below the other row's.
    const stop = min<usize>(x + 128, (<usize>columns) << 1);
    let a0 = i32x4.splat(0);
    let a1 = i32x4.splat(0);
    let b0 = i32x4.splat(0);
    let b1 = i32x4.splat(0);
    let c0 = i32x4.splat(0);
    let c1 = i32x4.splat(0);
    let d0 = i32x4.splat(0);
    let d1 = i32x4.splat(0);
    for (; x < stop; x += 4, w += 32) {
      const v0 = v128.load(w);
      const v1 = v128.load(w, 16);
      let q = v128.load32_splat(r0 + x);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, v0));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, v1));
      q = v128.load32_splat(r1 + x);
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, v0));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, v1));
      q = v128.load32_splat(r2 + x);
      c0 = i32x4.add(c0, i32x4.dot_i16x8_s(q, v0));
      c1 = i32x4.add(c1, i32x4.dot_i16x8_s(q, v1));
      q = v128.load32_splat(r3 + x);
      d0 = i32x4.add(d0, i32x4.dot_i16x8_s(q, v0));
      d1 = i32x4.add(d1, i32x4.dot_i16x8_s(q, v1));
    }
    split(to + 0, a0);
    split(other + 0, a1);
    split(to + 32, b0);
    split(other + 32, b1);
    split(to + 64, c0);
    split(other + 64, c1);
    split(to + 96, d0);
    split(other + 96, d1);
  }
}

/**
 * `tokens` tokens, records at the stride of `quantise_per_token`; out f32 [tokens][rows]; rows `rowStart` (a multiple of
 * 8) to `rowEnd` − 1; scratch: `matmul_scratch_bytes`. `dot32`: which instruction the relaxed build uses; same bits.
 */
export function gemm_ternary(product: Product, rowStart: i32, rowEnd: i32): void {
  const out = product.out;
  const weights = product.weights;
  const records = product.activations;
  const tokens = product.tokens;
  const rows = product.rows;
  const columns = product.columns;
  const scale = product.scale;
  const accumulate = product.accumulate != 0;
  const scratch = product.scratch;
  const dot32 = product.dot32 != 0;
  const padded = (columns + 31) & ~31;
  const stride = <usize>(16 + 3 * padded);
  const unpacked = scratch + PASS_GROUPS * SUM_BYTES;
  // Relaxed build: per tile of four tokens.
  const starts = unpacked + PASS_GROUPS * GROUP_BYTES;
  // Where the codes of a record start: bytes for the relaxed build, 16-bit pairs for the other.
  const codes = <usize>(ASC_FEATURE_RELAXED_SIMD ? 16 : 16 + padded);
  const width = ASC_FEATURE_RELAXED_SIMD ? 0 : 1;
  const last = weights + <usize>((rowEnd + 7) >> 3) * (padded << 1) - 4;
  let touched = 0;
  for (let first = 0; first < tokens; first += TOKEN_BATCH) {
    const batch = min(tokens - first, TOKEN_BATCH);
    const from = records + <usize>first * stride;
    if (ASC_FEATURE_RELAXED_SIMD) putStarts(starts, from + codes, batch, stride, padded);
    for (let row = rowStart; row < rowEnd; row += 8 * PASS_GROUPS) {
      const groups = min((rowEnd - row + 7) >> 3, PASS_GROUPS);
      memory.fill(scratch, 0, PASS_GROUPS * SUM_BYTES);
      for (let start = 0; start < padded; start += SEGMENT) {
        const count = min(padded - start, SEGMENT);
        const w0 = weights + <usize>(row >> 3) * (padded << 1);
        for (let g = 0; g < groups; g++) {
          const w = w0 + <usize>g * (padded << 1) + ((<usize>start) << 1);
          if (ASC_FEATURE_RELAXED_SIMD) unpackBytes(unpacked + <usize>g * GROUP_BYTES, w, count);
          // Two groups interleave in twice the room.
          else unpackRowPairs(unpacked + <usize>(g >> 1) * (2 * GROUP_BYTES) + (<usize>(g & 1) << 4), w, count);
        }
        // Weights that come next: touched before they are needed, they are read while the sums are computed.
        const ahead = w0 + (<usize>(start + SEGMENT < padded ? start + SEGMENT : PASS_GROUPS * padded) << 1);
        for (let t = 0; t < batch; t += 4) {
          if (ASC_FEATURE_RELAXED_SIMD)
            for (let g = 0; g < groups; g++)
              touched += load<i32>(min<usize>(ahead + <usize>g * (padded << 1) + (<usize>t << 4), last));
          // A tile is always four tokens; missing ones repeat the last, and their sums are not used.
          const x = from + codes + (<usize>start << width);
          const r0 = x + <usize>t * stride;
          const r1 = x + <usize>min(t + 1, batch - 1) * stride;
          const r2 = x + <usize>min(t + 2, batch - 1) * stride;
          const r3 = x + <usize>min(t + 3, batch - 1) * stride;
          const sums = scratch + ((<usize>t) << 5);
          if (ASC_FEATURE_RELAXED_SIMD) {
            for (let g = 0; g < groups; g++) {
              const to = sums + <usize>g * SUM_BYTES;
              const w = unpacked + <usize>g * GROUP_BYTES;
              if (dot32) multiplyBytes32(to, w, r0, r1, r2, r3, count);
              else multiplyBytes(to, w, r0, r1, r2, r3, starts + <usize>(t >> 2) * startBytes(padded) + (<usize>start >> 5), count);
            }
          } else {
            for (let g = 0; g < groups; g += 2) {
              const to = sums + <usize>g * SUM_BYTES;
              multiplyRowPairs(to, to + SUM_BYTES, unpacked + <usize>g * GROUP_BYTES, r0, r1, r2, r3, count);
            }
          }
        }
      }
      for (let t = 0; t < batch; t++) {
        const record = from + <usize>t * stride;
        for (let g = 0; g < groups; g++) {
          const sums = scratch + <usize>g * SUM_BYTES + ((<usize>t) << 5);
          const at = row + 8 * g;
          const to = out + ((<usize>(first + t) * rows + at) << 2);
          let low = v128.load(sums);
          let high = v128.load(sums, 16);
          if (ASC_FEATURE_RELAXED_SIMD && dot32) {
            low = centred(low, record);
            high = centred(high, record);
          }
          storeTernary(to, low, record, scale, rowEnd - at, accumulate);
          storeTernary(to + 16, high, record, scale, rowEnd - at - 4, accumulate);
        }
      }
    }
  }
  // What was touched counts as used.
  if (ASC_FEATURE_RELAXED_SIMD) store<i32>(scratch, touched);
}
