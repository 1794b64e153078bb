// 4-bit codes × int8 activations with one scale per 32 columns: layouts `q4`, `q4min`, `q4k`.
import { Product } from "../../abi/product";
import { blockShare, blockShareOffset, widened } from "../blocks";
import { F16_FACTOR, F16_MASK_UPPER, firstScales, floatFromF16, lastScales } from "../numbers";
import { hiddenBytes, hiddenShorts, hiddenWords } from "../opaque";
import { storeOutputs } from "../store";

// The three layouts.
export const Q4: i32 = 0;
export const Q4_MIN: i32 = 1;
export const Q4_K: i32 = 2;

// @ts-ignore: decorator
@inline
export function parameterBytes(kind: i32): i32 {
  return kind == Q4 ? 16 : kind == Q4_MIN ? 32 : 64;
}

/** Scales of rows 0–3 (`part` 0) or 4–7 (`part` 1) of a block; `mask` and `factor` as for `firstScales`. */
// @ts-ignore: decorator
@inline
export function scales(kind: i32, block: usize, part: i32, mask: v128, factor: v128): v128 {
  if (kind == Q4_K) return v128.load(block + (part << 4));
  const bits = v128.load(block);
  return part == 0 ? firstScales(bits, mask, factor) : lastScales(bits, mask, factor);
}

/** Minima of the same rows, behind the scales. */
// @ts-ignore: decorator
@inline
export function minima(kind: i32, block: usize, part: i32, mask: v128, factor: v128): v128 {
  return scales(kind, block + (kind == Q4_K ? 32 : 16), part, mask, factor);
}

/** acc + the pair sums of x · low nibbles. */
// @ts-ignore: decorator
@inline
function addLow(acc: v128, x: v128, v: v128, mask: v128): v128 {
  return i16x8.add(acc, i16x8.relaxed_dot_i8x16_i7x16_s(x, v128.and(v, mask)));
}

/** acc + the pair sums of x · high nibbles. */
// @ts-ignore: decorator
@inline
function addHigh(acc: v128, x: v128, v: v128, mask: v128): v128 {
  return i16x8.add(acc, i16x8.relaxed_dot_i8x16_i7x16_s(x, v128.and(i16x8.shr_u(v, 4), mask)));
}

/** acc + the sums of x · (v under the mask), 16-bit lanes. */
// @ts-ignore: decorator
@inline
function addMasked(acc: v128, x: v128, v: v128, mask: v128): v128 {
  return i32x4.add(acc, i32x4.dot_i16x8_s(x, v128.and(v, mask)));
}

// @ts-ignore: decorator
@inline
function gemv(kind: i32, product: Product, rowStart: i32, rowEnd: i32): void {
  const out = product.out;
  const weights = product.weights;
  const record = product.activations;
  const columns = product.columns;
  const accumulate = product.accumulate != 0;
  const padded = (columns + 31) & ~31;
  const pairs = record + padded;
  const parametersStart = record + <usize>padded * 3;
  const blockBytes = 128 + parameterBytes(kind);
  let w = weights + <usize>(rowStart >> 3) * (padded >> 5) * blockBytes;
  const low = ASC_FEATURE_RELAXED_SIMD ? hiddenBytes(15) : hiddenShorts(15);
  const high = hiddenShorts(0xf0);
  const mask = hiddenShorts(F16_MASK_UPPER);
  const factor = hiddenWords(F16_FACTOR);
  const zero = hiddenWords(0x41000000); // 8
  for (let row = rowStart; row < rowEnd; row += 8) {
    let total0 = f32x4.splat(0);
    let total1 = f32x4.splat(0);
    let x = ASC_FEATURE_RELAXED_SIMD ? record : pairs;
    for (let parameters = parametersStart, end = parameters + (padded >> 1); parameters < end; parameters += 16) {
      const codes = w + parameterBytes(kind);
      let dot0: v128;
      let dot1: v128;
      if (ASC_FEATURE_RELAXED_SIMD) {
        // 8 · (2 · 127 · 15) = 30480: no 16-bit overflow. A loop: unrolled here, the order in which the sums come out
        // of the optimisers takes more registers than there are.
        let v0 = v128.load(codes);
        let v1 = v128.load(codes, 16);
        let q = v128.load32_splat(x);
        let p = v128.load32_splat(x, 16);
        let a0 = addHigh(i16x8.relaxed_dot_i8x16_i7x16_s(q, v128.and(v0, low)), p, v0, low);
        let a1 = addHigh(i16x8.relaxed_dot_i8x16_i7x16_s(q, v128.and(v1, low)), p, v1, low);
        let at = codes;
        for (const stop = x + 12; x < stop; ) {
          x += 4;
          at += 32;
          v0 = v128.load(at);
          v1 = v128.load(at, 16);
          q = v128.load32_splat(x);
          p = v128.load32_splat(x, 16);
          a0 = addHigh(addLow(a0, q, v0, low), p, v0, low);
          a1 = addHigh(addLow(a1, q, v1, low), p, v1, low);
        }
        x += 20;
        dot0 = widened(a0);
        dot1 = widened(a1);
      } else {
        // `b` holds 16 times its sum.
        let a0 = i32x4.splat(0);
        let a1 = i32x4.splat(0);
        let b0 = i32x4.splat(0);
        let b1 = i32x4.splat(0);
        // A loop: unrolled, older V8 runs out of registers.
        for (let j: usize = 0; j < 4; j++) {
          let v0 = v128.load(codes + (j << 5));
          let v1 = v128.load(codes + (j << 5), 16);
          let q = v128.load32_splat(x + (j << 3));
          a0 = addMasked(a0, q, v0, low);
          a1 = addMasked(a1, q, v1, low);
          q = v128.load32_splat(x + (j << 3), 32);
          b0 = addMasked(b0, q, v0, high);
          b1 = addMasked(b1, q, v1, high);
          v0 = i16x8.shr_u(v0, 8);
          v1 = i16x8.shr_u(v1, 8);
          q = v128.load32_splat(x + (j << 3), 4);
          a0 = addMasked(a0, q, v0, low);
          a1 = addMasked(a1, q, v1, low);
          q = v128.load32_splat(x + (j << 3), 36);
          b0 = addMasked(b0, q, v0, high);
          b1 = addMasked(b1, q, v1, high);
        }
        dot0 = i32x4.add(a0, i32x4.shr_s(b0, 4));
        dot1 = i32x4.add(a1, i32x4.shr_s(b1, 4));
        x += 64;
      }
      const xScale = v128.load32_splat(parameters);
      const sum = v128.load32_splat(parameters, 4);
      const d0 = scales(kind, w, 0, mask, factor);
      const d1 = scales(kind, w, 1, mask, factor);
      if (kind == Q4) {
        const offset = f32x4.mul(sum, zero);
        total0 = f32x4.add(total0, blockShareOffset(dot0, offset, d0, xScale));
        total1 = f32x4.add(total1, blockShareOffset(dot1, offset, d1, xScale));
      } else {
        const m0 = minima(kind, w, 0, mask, factor);
        const m1 = minima(kind, w, 1, mask, factor);
        total0 = f32x4.add(total0, blockShare(dot0, d0, m0, sum, xScale));
        total1 = f32x4.add(total1, blockShare(dot1, d1, m1, sum, xScale));
      }
      w += blockBytes;
    }
    const to = out + ((<usize>row) << 2);
    storeOutputs(to, total0, rowEnd - row, accumulate);
    storeOutputs(to + 16, total1, rowEnd - row - 4, accumulate);
  }
}

/** One token × layout `q4`; `record` from `quantise_per_block`; rows `rowStart` (a multiple of 8) to `rowEnd` − 1. */
export function gemv_q4(product: Product, rowStart: i32, rowEnd: i32): void {
  gemv(Q4, product, rowStart, rowEnd);
}

/** One token × layout `q4min`. */
export function gemv_q4min(product: Product, rowStart: i32, rowEnd: i32): void {
  gemv(Q4_MIN, product, rowStart, rowEnd);
}

/** One token × layout `q4k`. */
export function gemv_q4k(product: Product, rowStart: i32, rowEnd: i32): void {
  gemv(Q4_K, product, rowStart, rowEnd);
}

/** Unpacks the blocks of `columns` columns for `multiplySegment`: bytes in the relaxed build, else 16-bit numbers. */
// @ts-ignore: decorator
@inline
export function unpackQ4(kind: i32, to: usize, w: usize, columns: i32): void {
  const mask = ASC_FEATURE_RELAXED_SIMD ? hiddenBytes(15) : hiddenShorts(15);
  const scaleMask = hiddenShorts(F16_MASK_UPPER);
  const factor = hiddenWords(F16_FACTOR);
  // The code that becomes 0 in the 16-bit form.
  const zero = i16x8.splat(kind == Q4 ? 8 : 0);
  for (let c = 0; c < columns; c += 32) {
    for (let part = 0; part < 2; part++) {
      v128.store(to + (part << 4), scales(kind, w, part, scaleMask, factor));
      v128.store(to + (part << 4), kind == Q4 ? f32x4.splat(8) : minima(kind, w, part, scaleMask, factor), 32);
    }
    w += parameterBytes(kind);
    to += 64;
    // Vectors come as (quad 0, rows 0–3), (quad 0, rows 4–7), (quad 1, …; their high nibbles are quads 4 to 7.
    for (let j = 0; j < 8; j++, w += 16) {
      const v = v128.load(w);
      if (ASC_FEATURE_RELAXED_SIMD) {
        v128.store(to + (j << 4), v128.and(v, mask));
        v128.store(to + (j << 4), v128.and(i16x8.shr_u(v, 4), mask), 128);
      } else {
        const at = to + ((j >> 1) << 6) + ((j & 1) << 4);
        v128.store(at, i16x8.sub(v128.and(v, mask), zero));
        v128.store(at, i16x8.sub(v128.and(i16x8.shr_u(v, 8), mask), zero), 32);
        v128.store(at, i16x8.sub(v128.and(i16x8.shr_u(v, 4), mask), zero), 256);
        v128.store(at, i16x8.sub(i16x8.shr_u(v, 12), zero), 288);
      }
    }
    to += ASC_FEATURE_RELAXED_SIMD ? 256 : 512;
  }
}

/** The number at a column of row `lane` of a panel. */
// @ts-ignore: decorator
@inline
export function valueQ4(kind: i32, panel: usize, lane: i32, column: i32): f32 {
  const block = panel + <usize>(column >> 5) * (128 + parameterBytes(kind));
  const byte = <i32>load<u8>(
    block + parameterBytes(kind) + (((column & 15) >> 2) << 5) + (lane << 2) + (column & 3),
  );
  const code = column & 16 ? byte >> 4 : byte & 15;
  if (kind == Q4) return floatFromF16(load<u16>(block + (lane << 1))) * <f32>(code - 8);
  if (kind == Q4_MIN)
    return floatFromF16(load<u16>(block + (lane << 1))) * <f32>code + floatFromF16(load<u16>(block + 16 + (lane << 1)));
  return load<f32>(block + (lane << 2)) * <f32>code + load<f32>(block + 32 + (lane << 2));
}
