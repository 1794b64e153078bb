// 4-bit codes × int8 activations with one scale per 32 columns: layouts `q4`, `q4min`, `q4k`.
import { blockShare, recordBytes, widened } from "./blocks";
import { multiplyGroup } from "./gemm-blocks";
import { scalesFromF16 } from "./numbers";
import { storeOutputs } from "./store";

const SYMMETRIC: i32 = 0;
const MINIMUM: i32 = 1;
const MINIMUM_F32: i32 = 2;

// @ts-ignore: decorator
@inline
function parameterBytes(kind: i32): i32 {
  return kind == SYMMETRIC ? 16 : kind == MINIMUM ? 32 : 64;
}

/** Scales of rows 0–3 (`part` 0) or 4–7 (`part` 1) of a block. */
// @ts-ignore: decorator
@inline
function scales(kind: i32, block: usize, part: i32): v128 {
  return kind == MINIMUM_F32
    ? v128.load(block + (part << 4))
    : scalesFromF16(v128.load16x4_u(block + (part << 3)));
}

/** Minima of the same rows. */
// @ts-ignore: decorator
@inline
function minima(kind: i32, block: usize, part: i32, d: v128): v128 {
  if (kind == SYMMETRIC) return f32x4.mul(d, f32x4.splat(-8));
  return kind == MINIMUM_F32
    ? v128.load(block + 32 + (part << 4))
    : scalesFromF16(v128.load16x4_u(block + 16 + (part << 3)));
}

// @ts-ignore: decorator
@inline
function gemv(
  kind: i32,
  out: usize,
  weights: usize,
  record: usize,
  columns: i32,
  rowStart: i32,
  rowEnd: i32,
  accumulate: bool,
): void {
  const padded = (columns + 31) & ~31;
  const pairs = record + padded;
  const parametersStart = record + <usize>padded * 3;
  const blockBytes = 128 + parameterBytes(kind);
  let w = weights + <usize>(rowStart >> 3) * (padded >> 5) * blockBytes;
  for (let row = rowStart; row < rowEnd; row += 8) {
    let total0 = f32x4.splat(0);
    let total1 = f32x4.splat(0);
    let x = ASC_FEATURE_RELAXED_SIMD ? record : pairs;
    for (let p = parametersStart, end = p + (padded >> 1); p < end; p += 16) {
      const codes = w + parameterBytes(kind);
      let dot0: v128;
      let dot1: v128;
      if (ASC_FEATURE_RELAXED_SIMD) {
        const mask = i8x16.splat(15);
        let a0 = i16x8.splat(0);
        let a1 = i16x8.splat(0);
        for (let j: usize = 0; j < 4; j++) {
          const v0 = v128.load(codes + (j << 5));
          const v1 = v128.load(codes + (j << 5), 16);
          const low = v128.load32_splat(x + (j << 2));
          const high = v128.load32_splat(x + (j << 2), 16);
          a0 = i16x8.add(a0, i16x8.relaxed_dot_i8x16_i7x16_s(low, v128.and(v0, mask)));
          a1 = i16x8.add(a1, i16x8.relaxed_dot_i8x16_i7x16_s(low, v128.and(v1, mask)));
          a0 = i16x8.add(a0, i16x8.relaxed_dot_i8x16_i7x16_s(high, v128.and(i16x8.shr_u(v0, 4), mask)));
          a1 = i16x8.add(a1, i16x8.relaxed_dot_i8x16_i7x16_s(high, v128.and(i16x8.shr_u(v1, 4), mask)));
        }
        dot0 = widened(a0);
        dot1 = widened(a1);
        x += 32;
      } else {
        // `b` holds 16 times its sum.
        const low = i16x8.splat(0x0f);
        const high = i16x8.splat(0xf0);
        let a0 = i32x4.splat(0);
        let a1 = i32x4.splat(0);
        let b0 = i32x4.splat(0);
        let b1 = i32x4.splat(0);
        for (let j: usize = 0; j < 4; j++) {
          const v0 = v128.load(codes + (j << 5));
          const v1 = v128.load(codes + (j << 5), 16);
          const u0 = i16x8.shr_u(v0, 8);
          const u1 = i16x8.shr_u(v1, 8);
          let even = v128.load32_splat(x + (j << 3));
          let odd = v128.load32_splat(x + (j << 3), 4);
          a0 = i32x4.add(a0, i32x4.dot_i16x8_s(even, v128.and(v0, low)));
          a1 = i32x4.add(a1, i32x4.dot_i16x8_s(even, v128.and(v1, low)));
          a0 = i32x4.add(a0, i32x4.dot_i16x8_s(odd, v128.and(u0, low)));
          a1 = i32x4.add(a1, i32x4.dot_i16x8_s(odd, v128.and(u1, low)));
          even = v128.load32_splat(x + (j << 3), 32);
          odd = v128.load32_splat(x + (j << 3), 36);
          b0 = i32x4.add(b0, i32x4.dot_i16x8_s(even, v128.and(v0, high)));
          b1 = i32x4.add(b1, i32x4.dot_i16x8_s(even, v128.and(v1, high)));
          b0 = i32x4.add(b0, i32x4.dot_i16x8_s(odd, v128.and(u0, high)));
          b1 = i32x4.add(b1, i32x4.dot_i16x8_s(odd, v128.and(u1, high)));
        }
        dot0 = i32x4.add(a0, i32x4.shr_s(b0, 4));
        dot1 = i32x4.add(a1, i32x4.shr_s(b1, 4));
        x += 64;
      }
      const xScale = v128.load32_splat(p);
      const sum = v128.load32_splat(p, 4);
      const d0 = scales(kind, w, 0);
      const d1 = scales(kind, w, 1);
      total0 = f32x4.add(total0, blockShare(dot0, d0, minima(kind, w, 0, d0), sum, xScale));
      total1 = f32x4.add(total1, blockShare(dot1, d1, minima(kind, w, 1, d1), sum, xScale));
      w += blockBytes;
    }
    const to = out + ((<usize>row) << 2);
    storeOutputs(to, total0, rowEnd - row, accumulate);
    storeOutputs(to + 16, total1, rowEnd - row - 4, accumulate);
  }
}

// @ts-ignore: decorator
@inline
function gemm(
  kind: i32,
  out: usize,
  weights: usize,
  records: usize,
  tokens: i32,
  rows: i32,
  columns: i32,
  rowStart: i32,
  rowEnd: i32,
  accumulate: bool,
  scratch: usize,
): void {
  const padded = (columns + 31) & ~31;
  let w = weights + <usize>(rowStart >> 3) * (padded >> 5) * (128 + parameterBytes(kind));
  const unpacked = scratch + 128;
  const mask = ASC_FEATURE_RELAXED_SIMD ? i8x16.splat(15) : i16x8.splat(15);
  for (let row = rowStart; row < rowEnd; row += 8) {
    let to = unpacked;
    for (let block = 0; block < padded; block += 32) {
      for (let part = 0; part < 2; part++) {
        const d = scales(kind, w, part);
        v128.store(to + (part << 4), d);
        v128.store(to + (part << 4), minima(kind, w, part, d), 32);
      }
      w += parameterBytes(kind);
      to += 64;
      for (let j = 0; j < 8; j++, w += 16) {
        // Vectors come as (quad 0, rows 0–3), (quad 0, rows 4–7), (quad 1, …; their high nibbles are quads 4 to 7.
        const v = v128.load(w);
        if (ASC_FEATURE_RELAXED_SIMD) {
          v128.store(to + (j << 4), v128.and(v, mask));
          v128.store(to + (j << 4), v128.and(i16x8.shr_u(v, 4), mask), 128);
        } else {
          const at = to + ((j >> 1) << 6) + ((j & 1) << 4);
          v128.store(at, v128.and(v, mask));
          v128.store(at, v128.and(i16x8.shr_u(v, 8), mask), 32);
          v128.store(at, v128.and(i16x8.shr_u(v, 4), mask), 256);
          v128.store(at, i16x8.shr_u(v, 12), 288);
        }
      }
      to += ASC_FEATURE_RELAXED_SIMD ? 256 : 512;
    }
    multiplyGroup(
      out, unpacked, records, tokens, rows, padded, row, rowEnd, accumulate, scratch,
      ASC_FEATURE_RELAXED_SIMD, false, true,
    );
  }
}

/** One token × layout `q4`; `record` from `quantise_per_block`; rows `rowStart` (a multiple of 8) to `rowEnd` − 1. */
export function gemv_q4(
  out: usize, weights: usize, record: usize, columns: i32, rowStart: i32, rowEnd: i32, accumulate: bool,
): void {
  gemv(SYMMETRIC, out, weights, record, columns, rowStart, rowEnd, accumulate);
}

/** One token × layout `q4min`. */
export function gemv_q4min(
  out: usize, weights: usize, record: usize, columns: i32, rowStart: i32, rowEnd: i32, accumulate: bool,
): void {
  gemv(MINIMUM, out, weights, record, columns, rowStart, rowEnd, accumulate);
}

/** One token × layout `q4k`. */
export function gemv_q4k(
  out: usize, weights: usize, record: usize, columns: i32, rowStart: i32, rowEnd: i32, accumulate: bool,
): void {
  gemv(MINIMUM_F32, out, weights, record, columns, rowStart, rowEnd, accumulate);
}

/** `tokens` tokens × layout `q4`; out f32 [tokens][rows]; scratch: `matmulScratchBytes`. */
export function gemm_q4(
  out: usize, weights: usize, records: usize, tokens: i32, rows: i32, columns: i32, rowStart: i32, rowEnd: i32,
  accumulate: bool, scratch: usize,
): void {
  gemm(SYMMETRIC, out, weights, records, tokens, rows, columns, rowStart, rowEnd, accumulate, scratch);
}

/** `tokens` tokens × layout `q4min`. */
export function gemm_q4min(
  out: usize, weights: usize, records: usize, tokens: i32, rows: i32, columns: i32, rowStart: i32, rowEnd: i32,
  accumulate: bool, scratch: usize,
): void {
  gemm(MINIMUM, out, weights, records, tokens, rows, columns, rowStart, rowEnd, accumulate, scratch);
}

/** `tokens` tokens × layout `q4k`. */
export function gemm_q4k(
  out: usize, weights: usize, records: usize, tokens: i32, rows: i32, columns: i32, rowStart: i32, rowEnd: i32,
  accumulate: bool, scratch: usize,
): void {
  gemm(MINIMUM_F32, out, weights, records, tokens, rows, columns, rowStart, rowEnd, accumulate, scratch);
}
