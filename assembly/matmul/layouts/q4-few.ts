// 4-bit codes × few tokens: layouts `q4`, `q4min`, `q4k`.
import { Product } from "../../abi/product";
import { blockShare, blockShareOffset, recordBytes, widened } from "../blocks";
import { storeSums } from "../gemm-blocks";
import { F16_FACTOR, F16_MASK_UPPER } from "../numbers";
import { hiddenBytes, hiddenShorts, hiddenWords } from "../opaque";
import { minima, parameterBytes, Q4, Q4_K, Q4_MIN, scales } from "./q4";

/** acc + the pair sums of q · v: 16-bit lanes in the relaxed build, of which 8 · (2 · 127 · 15) = 30480 fit; else 32-bit. */
// @ts-ignore: decorator
@inline
function plusDot(acc: v128, q: v128, v: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD
    ? i16x8.add(acc, i16x8.relaxed_dot_i8x16_i7x16_s(q, v))
    : i32x4.add(acc, i32x4.dot_i16x8_s(q, v));
}

/** Adds the share of a block to the f32 sums of one token. */
// @ts-ignore: decorator
@inline
function addShares(
  kind: i32, sums: usize, a0: v128, a1: v128, s0: v128, s1: v128, m0: v128, m1: v128, parameters: usize, zero: v128,
): void {
  const dot0 = ASC_FEATURE_RELAXED_SIMD ? widened(a0) : a0;
  const dot1 = ASC_FEATURE_RELAXED_SIMD ? widened(a1) : a1;
  const xScale = v128.load32_splat(parameters);
  const sum = v128.load32_splat(parameters, 4);
  const offset = f32x4.mul(sum, zero);
  const share0 = kind == Q4 ? blockShareOffset(dot0, offset, s0, xScale) : blockShare(dot0, s0, m0, sum, xScale);
  const share1 = kind == Q4 ? blockShareOffset(dot1, offset, s1, xScale) : blockShare(dot1, s1, m1, sum, xScale);
  v128.store(sums, f32x4.add(v128.load(sums), share0));
  v128.store(sums, f32x4.add(v128.load(sums, 16), share1), 16);
}

/** All blocks of 8 rows × `T` tokens (1, 2 or 4): nibbles are unpacked once for all tokens. `record`: of the first. */
// @ts-ignore: decorator
@inline
function addRows(T: i32, kind: i32, sums: usize, w: usize, record: usize, padded: i32): void {
  const low = ASC_FEATURE_RELAXED_SIMD ? hiddenBytes(15) : hiddenShorts(15);
  const mask = hiddenShorts(F16_MASK_UPPER);
  const factor = hiddenWords(F16_FACTOR);
  const zero = hiddenWords(0x41000000); // 8
  const stride = recordBytes(padded);
  // Per 32 columns 32 bytes, or 64 as 16-bit pairs.
  const wide: usize = ASC_FEATURE_RELAXED_SIMD ? 0 : 1;
  let r0 = record + (ASC_FEATURE_RELAXED_SIMD ? 0 : padded);
  let parameters = <usize>padded * (ASC_FEATURE_RELAXED_SIMD ? 3 : 2);
  const blockBytes = 128 + parameterBytes(kind);
  for (const end = w + <usize>(padded >> 5) * blockBytes; w < end; w += blockBytes) {
    const r1 = r0 + stride;
    const r2 = r1 + stride;
    const r3 = r2 + stride;
    let a0 = i32x4.splat(0);
    let a1 = a0;
    let b0 = a0;
    let b1 = a0;
    let c0 = a0;
    let c1 = a0;
    let d0 = a0;
    let d1 = a0;
    const codes = w + parameterBytes(kind);
    for (let j: usize = 0; j < 16; j += 4) {
      let v0 = v128.load(codes + (j << 3));
      let v1 = v128.load(codes + (j << 3), 16);
      const x = j << wide;
      // Low nibbles, then high ones; in 16-bit form columns 0 and 2 of each, then 1 and 3.
      for (let odd: usize = 0; odd <= wide; odd++) {
        const at = x + (odd << 2);
        const l0 = v128.and(v0, low);
        const l1 = v128.and(v1, low);
        const h0 = v128.and(i16x8.shr_u(v0, 4), low);
        const h1 = v128.and(i16x8.shr_u(v1, 4), low);
        let q = v128.load32_splat(r0 + at);
        let p = v128.load32_splat(r0 + at + (16 << wide));
        a0 = plusDot(plusDot(a0, q, l0), p, h0);
        a1 = plusDot(plusDot(a1, q, l1), p, h1);
        if (T > 1) {
          q = v128.load32_splat(r1 + at);
          p = v128.load32_splat(r1 + at + (16 << wide));
          b0 = plusDot(plusDot(b0, q, l0), p, h0);
          b1 = plusDot(plusDot(b1, q, l1), p, h1);
        }
        if (T > 2) {
          q = v128.load32_splat(r2 + at);
          p = v128.load32_splat(r2 + at + (16 << wide));
          c0 = plusDot(plusDot(c0, q, l0), p, h0);
          c1 = plusDot(plusDot(c1, q, l1), p, h1);
          q = v128.load32_splat(r3 + at);
          p = v128.load32_splat(r3 + at + (16 << wide));
          d0 = plusDot(plusDot(d0, q, l0), p, h0);
          d1 = plusDot(plusDot(d1, q, l1), p, h1);
        }
        if (!ASC_FEATURE_RELAXED_SIMD) {
          v0 = i16x8.shr_u(v0, 8);
          v1 = i16x8.shr_u(v1, 8);
        }
      }
    }
    const s0 = scales(kind, w, 0, mask, factor);
    const s1 = scales(kind, w, 1, mask, factor);
    const m0 = kind == Q4 ? s0 : minima(kind, w, 0, mask, factor);
    const m1 = kind == Q4 ? s1 : minima(kind, w, 1, mask, factor);
    addShares(kind, sums, a0, a1, s0, s1, m0, m1, r0 + parameters, zero);
    if (T > 1) addShares(kind, sums + 32, b0, b1, s0, s1, m0, m1, r1 + parameters, zero);
    if (T > 2) {
      addShares(kind, sums + 64, c0, c1, s0, s1, m0, m1, r2 + parameters, zero);
      addShares(kind, sums + 96, d0, d1, s0, s1, m0, m1, r3 + parameters, zero);
    }
    r0 += 32 << wide;
    parameters -= (32 << wide) - 16;
  }
}

// @ts-ignore: decorator
@inline
function gemmFew(kind: i32, product: Product, rowStart: i32, rowEnd: i32): void {
  const padded = (product.columns + 31) & ~31;
  const groupBytes = <usize>(padded >> 5) * (128 + parameterBytes(kind));
  let w = product.weights + <usize>(rowStart >> 3) * groupBytes;
  for (let row = rowStart; row < rowEnd; row += 8, w += groupBytes) {
    memory.fill(product.scratch, 0, <usize>product.tokens << 5);
    let sums = product.scratch;
    let record = product.activations;
    let t = product.tokens;
    for (; t >= 4; t -= 4, sums += 128, record += 4 * recordBytes(padded)) addRows(4, kind, sums, w, record, padded);
    if (t >= 2) {
      addRows(2, kind, sums, w, record, padded);
      sums += 64;
      record += 2 * recordBytes(padded);
    }
    if (t & 1) addRows(1, kind, sums, w, record, padded);
    storeSums(product.out, product.scratch, product.tokens, product.rows, row, rowEnd, product.accumulate != 0);
  }
}

/** 2 to 8 tokens × layout `q4`; activations from `quantise_per_block`. */
export function gemm_few_q4(product: Product, rowStart: i32, rowEnd: i32): void {
  gemmFew(Q4, product, rowStart, rowEnd);
}

/** 2 to 8 tokens × layout `q4min`. */
export function gemm_few_q4min(product: Product, rowStart: i32, rowEnd: i32): void {
  gemmFew(Q4_MIN, product, rowStart, rowEnd);
}

/** 2 to 8 tokens × layout `q4k`. */
export function gemm_few_q4k(product: Product, rowStart: i32, rowEnd: i32): void {
  gemmFew(Q4_K, product, rowStart, rowEnd);
}

