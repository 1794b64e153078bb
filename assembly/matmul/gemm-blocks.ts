// Products of a group of 8 rows, unpacked to scratch, with many tokens. Unpacked block: 8 f32 scales, 8 f32 minima, then
// per 4 columns either 2 × 16 bytes (byte 4·r + c) or 4 × 8 16-bit numbers (columns 0, 2 of rows 0–3, of rows 4–7, then
// columns 1, 3).
import { blockShare, blockShareNoMin, blockShareOffset, recordBytes, widened } from "./blocks";
import { storeOutputs } from "./store";

/** Signed codes: no minima. */
export const SIGNED: i32 = 0;
/** Codes with minima. */
export const MINIMUM: i32 = 1;
/** Code 8 stands for 0; four times 8 in place of the minima. */
export const EIGHT: i32 = 2;

/** Adds one block's share to the f32 sums of one token. */
// @ts-ignore: decorator
@inline
function addShare(
  sums: usize,
  dot0: v128,
  dot1: v128,
  block: usize,
  parameters: usize,
  half: usize,
  mode: i32,
): void {
  const xScale = v128.load32_splat(parameters);
  if (mode == EIGHT) {
    const offset = f32x4.mul(v128.load32_splat(parameters + 4), v128.load(block, 32));
    v128.store(sums, f32x4.add(v128.load(sums), blockShareOffset(dot0, offset, v128.load(block), xScale)));
    v128.store(sums, f32x4.add(v128.load(sums, 16), blockShareOffset(dot1, offset, v128.load(block, 16), xScale)), 16);
  } else if (mode == MINIMUM) {
    const sum = v128.load32_splat(parameters + 4 + half);
    v128.store(sums, f32x4.add(v128.load(sums), blockShare(dot0, v128.load(block), v128.load(block, 32), sum, xScale)));
    v128.store(
      sums,
      f32x4.add(v128.load(sums, 16), blockShare(dot1, v128.load(block, 16), v128.load(block, 48), sum, xScale)),
      16,
    );
  } else {
    v128.store(sums, f32x4.add(v128.load(sums), blockShareNoMin(dot0, v128.load(block), xScale)));
    v128.store(sums, f32x4.add(v128.load(sums, 16), blockShareNoMin(dot1, v128.load(block, 16), xScale)), 16);
  }
}

/** Most tokens that share one unpacking; their sums are 32 bytes each. */
export const TOKEN_BATCH: i32 = 128;
/** Groups of 8 rows that share one pass over the activations. */
export const PASS_GROUPS: i32 = 4;
/** Bytes of the sums of a batch for one group; those of a pass are at the start of the scratch. */
export const SUM_BYTES: usize = 4096;
/** Columns unpacked at once: with 16-bit codes 18 kB per group, so that they stay in the nearest caches. */
export const SEGMENT: i32 = 1024;
/** Distance of the unpacked segments of two groups. */
export const GROUP_BYTES: usize = 20480;

/** Pair sums: 16-bit lanes of `bytes`, 8 · (2 · 127 · 15) = 30480 of which fit; else 32-bit lanes. */
// @ts-ignore: decorator
@inline
function dot(bytes: bool, q: v128, v: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD && bytes ? i16x8.relaxed_dot_i8x16_i7x16_s(q, v) : i32x4.dot_i16x8_s(q, v);
}

// @ts-ignore: decorator
@inline
function plus(bytes: bool, sum: v128, value: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD && bytes ? i16x8.add(sum, value) : i32x4.add(sum, value);
}

/**
 * Adds the products of `columns` columns from `firstColumn` on to the sums of `groups` groups × `tokens` tokens. `halves`: blocks of 16
 * columns instead of 32. `bytes`: the byte form, codes 0–15. `mode`: SIGNED, MINIMUM or EIGHT. Records as from `quantise_per_block`.
 */
// @ts-ignore: decorator
@inline
export function multiplySegment(
  sums: usize,
  unpacked: usize,
  groups: i32,
  records: usize,
  tokens: i32,
  padded: i32,
  firstColumn: i32,
  columns: i32,
  bytes: bool,
  halves: bool,
  mode: i32,
): void {
  const stride = recordBytes(padded);
  const blockColumns = halves ? 16 : 32;
  const quadBytes = bytes ? 32 : 64;
  const parameterStart = <usize>padded * 3;
  for (let t = 0; t < tokens; t += 4, sums += 128) {
    // A tile is always four tokens; missing ones repeat the last, and their sums are not used.
    const r0 = records + <usize>t * stride;
    const r1 = records + <usize>min(t + 1, tokens - 1) * stride;
    const r2 = records + <usize>min(t + 2, tokens - 1) * stride;
    const r3 = records + <usize>min(t + 3, tokens - 1) * stride;
    for (let g = 0; g < groups; g++) {
      const to = sums + <usize>g * SUM_BYTES;
      let block = unpacked + <usize>g * GROUP_BYTES;
      let x: usize = bytes ? firstColumn : padded + (firstColumn << 1);
      for (let c = firstColumn; c < firstColumn + columns; c += blockColumns) {
        let w = block + 64;
        const end = w + (blockColumns >> 2) * quadBytes;
        let v0 = v128.load(w);
        let v1 = v128.load(w, 16);
        let q = v128.load32_splat(r0 + x);
        let a0 = dot(bytes, q, v0);
        let a1 = dot(bytes, q, v1);
        q = v128.load32_splat(r1 + x);
        let b0 = dot(bytes, q, v0);
        let b1 = dot(bytes, q, v1);
        q = v128.load32_splat(r2 + x);
        let c0 = dot(bytes, q, v0);
        let c1 = dot(bytes, q, v1);
        q = v128.load32_splat(r3 + x);
        let d0 = dot(bytes, q, v0);
        let d1 = dot(bytes, q, v1);
        for (w += 32, x += 4; w < end; w += 32, x += 4) {
          v0 = v128.load(w);
          v1 = v128.load(w, 16);
          q = v128.load32_splat(r0 + x);
          a0 = plus(bytes, a0, dot(bytes, q, v0));
          a1 = plus(bytes, a1, dot(bytes, q, v1));
          q = v128.load32_splat(r1 + x);
          b0 = plus(bytes, b0, dot(bytes, q, v0));
          b1 = plus(bytes, b1, dot(bytes, q, v1));
          q = v128.load32_splat(r2 + x);
          c0 = plus(bytes, c0, dot(bytes, q, v0));
          c1 = plus(bytes, c1, dot(bytes, q, v1));
          q = v128.load32_splat(r3 + x);
          d0 = plus(bytes, d0, dot(bytes, q, v0));
          d1 = plus(bytes, d1, dot(bytes, q, v1));
        }
        if (ASC_FEATURE_RELAXED_SIMD && bytes) {
          a0 = widened(a0);
          a1 = widened(a1);
          b0 = widened(b0);
          b1 = widened(b1);
          c0 = widened(c0);
          c1 = widened(c1);
          d0 = widened(d0);
          d1 = widened(d1);
        }
        const parameters = parameterStart + ((<usize>c >> 5) << 4);
        const half: usize = halves ? 4 + ((<usize>(c >> 4) & 1) << 2) : 0;
        addShare(to, a0, a1, block, r0 + parameters, half, mode);
        addShare(to + 32, b0, b1, block, r1 + parameters, half, mode);
        addShare(to + 64, c0, c1, block, r2 + parameters, half, mode);
        addShare(to + 96, d0, d1, block, r3 + parameters, half, mode);
        block = end;
      }
    }
  }
}

/** Writes the sums of one group to its rows of out f32 [tokens][rows]; `out` is that of the batch's first token. */
export function storeSums(
  out: usize,
  sums: usize,
  tokens: i32,
  rows: i32,
  row: i32,
  rowEnd: i32,
  accumulate: bool,
): void {
  let to = out + ((<usize>row) << 2);
  for (let t = 0; t < tokens; t++, sums += 32, to += (<usize>rows) << 2) {
    storeOutputs(to, v128.load(sums), rowEnd - row, accumulate);
    storeOutputs(to + 16, v128.load(sums, 16), rowEnd - row - 4, accumulate);
  }
}
