import * as relaxed from "./rows-relaxed";
import * as simd from "./rows-simd";

// Integer products of a panel (4 rows of int8 interleaved in steps of 4 bytes) with rows of codes. The lanes of an
// accumulator are the panel's 4 rows, so nothing is summed across lanes. Both builds give the same integers: one side is
// in 0..127, so that a sum of two products fits 16 bits.
//
// A row of codes holds 4 numbers per step: bytes in the relaxed build (which multiplies bytes), 16-bit numbers otherwise.

/** Bytes of one step (4 codes) in a row of codes of this build. */
export const STEP: usize = ASC_FEATURE_RELAXED_SIMD ? 4 : 8;

/** Stores four codes, i32 lanes in −128..127, as one step of a row. */
// @ts-ignore: decorator
@inline
export function storeStep(row: usize, code: v128): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    v128.store32_lane(row, i8x16.shuffle(code, code, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12), 0);
  } else {
    v128.store64_lane(row, i16x8.narrow_i32x4_s(code, code), 0);
  }
}

/**
 * Stores four codes of 15 bits as one step of a row: whole where a row holds 16-bit numbers; bytes as 128·high + low with
 * −64 ≤ low < 64, the low ones `headDim` bytes after the high ones.
 */
// @ts-ignore: decorator
@inline
export function storeLong(row: usize, code: v128, headDim: i32): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    const high = i32x4.shr_s(i32x4.add(code, i32x4.splat(64)), 7);
    storeStep(row, high);
    storeStep(row + <usize>headDim, i32x4.sub(code, i32x4.shl(high, 7)));
  } else {
    storeStep(row, code);
  }
}

/** Stores 16 codes in two vectors of 16-bit numbers as four steps of a row, clamped to −128..127; returns the address after. */
// @ts-ignore: decorator
@inline
export function storeSteps(row: usize, a: v128, b: v128): usize {
  const bytes = i8x16.narrow_i16x8_s(a, b);
  if (ASC_FEATURE_RELAXED_SIMD) {
    v128.store(row, bytes);
    return row + 16;
  }
  v128.store(row, i16x8.extend_low_i8x16_s(bytes));
  v128.store(row, i16x8.extend_high_i8x16_s(bytes), 16);
  return row + 32;
}

// @ts-ignore: decorator
@inline
function product(
  out: usize,
  outStride: usize,
  row: usize,
  rowStride: usize,
  rows: i32,
  panel: usize,
  step: usize,
  steps: i32,
  group: usize,
  groups: i32,
  signedPanel: bool,
  list: usize,
): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (rows >= 4) relaxed.rows4(out, outStride, row, rowStride, panel, step, steps, group, groups, signedPanel, list);
    else if (rows == 3) relaxed.rows3(out, outStride, row, rowStride, panel, step, steps, group, groups, signedPanel, list);
    else if (rows == 2) relaxed.rows2(out, outStride, row, rowStride, panel, step, steps, group, groups, signedPanel, list);
    else relaxed.rows1(out, outStride, row, rowStride, panel, step, steps, group, groups, signedPanel, list);
  } else {
    if (rows >= 4) simd.rows4(out, outStride, row, rowStride, panel, step, steps, group, groups, signedPanel, list);
    else if (rows == 3) simd.rows3(out, outStride, row, rowStride, panel, step, steps, group, groups, signedPanel, list);
    else if (rows == 2) simd.rows2(out, outStride, row, rowStride, panel, step, steps, group, groups, signedPanel, list);
    else simd.rows1(out, outStride, row, rowStride, panel, step, steps, group, groups, signedPanel, list);
  }
}

/**
 * QKᵀ of 1–4 query rows with one tile of keys: out[row][key] (i32, rows `outStride` bytes apart) = Σ q·code.
 * @param codes u8 0..127 [groups of 4 keys][headDim / 4][4 keys][4 elements]; `groups` is even
 */
export function keyProduct(
  out: usize,
  outStride: usize,
  row: usize,
  rowStride: usize,
  rows: i32,
  codes: usize,
  headDim: i32,
  groups: i32,
): void {
  product(out, outStride, row, rowStride, rows, codes, 16, headDim >> 2, <usize>headDim << 2, groups, false, 0);
}

/**
 * `keyProduct` of rows from `storeLong`. Sums stay below headDim · 16,319 · 127 < 2³¹.
 * @param low room for i32 [4][64]
 */
export function longKeyProduct(
  out: usize,
  outStride: usize,
  row: usize,
  rowStride: usize,
  rows: i32,
  codes: usize,
  headDim: i32,
  groups: i32,
  low: usize,
): void {
  keyProduct(out, outStride, row, rowStride, rows, codes, headDim, groups);
  if (!ASC_FEATURE_RELAXED_SIMD) return;
  keyProduct(low, 256, row + <usize>headDim, rowStride, rows, codes, headDim, groups);
  addLow(out, outStride, low, rows, <usize>groups << 4);
}

/** out = 128·out + low, i32, `bytes` of each row; rows of `low` are 256 bytes apart. */
export function addLow(out: usize, outStride: usize, low: usize, rows: i32, bytes: usize): void {
  for (let r = 0; r < rows; r++, out += outStride, low += 256)
    for (let i: usize = 0; i < bytes; i += 16)
      v128.store(out + i, i32x4.add(i32x4.shl(v128.load(out + i), 7), v128.load(low + i)));
}

/**
 * PV of 1–4 weight rows (codes 0..127) with one tile of values: out[row][element] (i32) = Σ weight·code over `groups`
 * groups of 4 keys.
 * @param codes i8 [groups of 4 keys][headDim / 4][4 elements][4 keys]
 */
export function valueProduct(
  out: usize,
  outStride: usize,
  row: usize,
  rowStride: usize,
  rows: i32,
  codes: usize,
  headDim: i32,
  groups: i32,
): void {
  product(out, outStride, row, rowStride, rows, codes, <usize>headDim << 2, groups, 16, headDim >> 2, true, 0);
}

/** `valueProduct` over `count` groups of keys only, whose indices (u8) are in `list`. */
export function valueProductSome(
  out: usize,
  outStride: usize,
  row: usize,
  rowStride: usize,
  rows: i32,
  codes: usize,
  headDim: i32,
  count: i32,
  list: usize,
): void {
  product(out, outStride, row, rowStride, rows, codes, <usize>headDim << 2, count, 16, headDim >> 2, true, list);
}
