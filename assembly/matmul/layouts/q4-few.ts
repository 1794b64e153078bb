// 4-bit codes × few tokens: layouts `q4`, `q4min`, `q4k`.
import { Product } from "../../abi/product";
import { blockShare, blockShareOffset, widened } from "../blocks";
import { storeSums } from "../gemm-blocks";
import { F16_FACTOR, F16_MASK_UPPER } from "../numbers";
import { hiddenBytes, hiddenShorts, hiddenWords } from "../opaque";
import { FEW_SUMS, fillTiles, tileBytes } from "../tiles";
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
  kind: i32, sums: usize, a0: v128, a1: v128, s0: v128, s1: v128, m0: v128, m1: v128, xScale: v128, sum: v128, zero: v128,
): void {
  const dot0 = ASC_FEATURE_RELAXED_SIMD ? widened(a0) : a0;
  const dot1 = ASC_FEATURE_RELAXED_SIMD ? widened(a1) : a1;
  const offset = f32x4.mul(sum, zero);
  const share0 = kind == Q4 ? blockShareOffset(dot0, offset, s0, xScale) : blockShare(dot0, s0, m0, sum, xScale);
  const share1 = kind == Q4 ? blockShareOffset(dot1, offset, s1, xScale) : blockShare(dot1, s1, m1, sum, xScale);
  v128.store(sums, f32x4.add(v128.load(sums), share0));
  v128.store(sums, f32x4.add(v128.load(sums, 16), share1), 16);
}

/**
 * All blocks of 8 rows × a tile of `T` tokens (2 or 4) at `x`. Low nibbles, then high ones: with both at once there are
 * fewer registers than numbers. In 16-bit form columns 0 and 2 of each four, then 1 and 3; a loop that V8 sees, of one round
 * even, would keep it from unrolling the one around it.
 */
// @ts-ignore: decorator
@inline
function addRows(T: i32, kind: i32, sums: usize, w: usize, x: usize, padded: i32): void {
  const low = ASC_FEATURE_RELAXED_SIMD ? hiddenBytes(15) : hiddenShorts(15);
  const mask = hiddenShorts(F16_MASK_UPPER);
  const factor = hiddenWords(F16_FACTOR);
  const zero = hiddenWords(0x41000000); // 8
  const blockBytes = 128 + parameterBytes(kind);
  for (const end = w + <usize>(padded >> 5) * blockBytes; w < end; w += blockBytes) {
    let a0 = i32x4.splat(0);
    let a1 = a0;
    let b0 = a0;
    let b1 = a0;
    let c0 = a0;
    let c1 = a0;
    let d0 = a0;
    let d1 = a0;
    const codes = w + parameterBytes(kind);
    const codesEnd = codes + 128;
    for (let at = codes; at < codesEnd; at += 32) {
      let v0 = v128.load(at);
      let v1 = v128.load(at, 16);
      let odd = 0;
      do {
        const n0 = v128.and(v0, low);
        const n1 = v128.and(v1, low);
        let q = v128.load32_splat(x);
        a0 = plusDot(a0, q, n0);
        a1 = plusDot(a1, q, n1);
        q = v128.load32_splat(x, 4);
        b0 = plusDot(b0, q, n0);
        b1 = plusDot(b1, q, n1);
        if (T > 2) {
          q = v128.load32_splat(x, 8);
          c0 = plusDot(c0, q, n0);
          c1 = plusDot(c1, q, n1);
          q = v128.load32_splat(x, 12);
          d0 = plusDot(d0, q, n0);
          d1 = plusDot(d1, q, n1);
        }
        x += T << 2;
        if (!ASC_FEATURE_RELAXED_SIMD) {
          v0 = i16x8.shr_u(v0, 8);
          v1 = i16x8.shr_u(v1, 8);
        }
      } while (!ASC_FEATURE_RELAXED_SIMD && odd++ == 0);
    }
    for (let at = codes; at < codesEnd; at += 32) {
      let v0 = i16x8.shr_u(v128.load(at), 4);
      let v1 = i16x8.shr_u(v128.load(at, 16), 4);
      let odd = 0;
      do {
        const n0 = v128.and(v0, low);
        const n1 = v128.and(v1, low);
        let q = v128.load32_splat(x);
        a0 = plusDot(a0, q, n0);
        a1 = plusDot(a1, q, n1);
        q = v128.load32_splat(x, 4);
        b0 = plusDot(b0, q, n0);
        b1 = plusDot(b1, q, n1);
        if (T > 2) {
          q = v128.load32_splat(x, 8);
          c0 = plusDot(c0, q, n0);
          c1 = plusDot(c1, q, n1);
          q = v128.load32_splat(x, 12);
          d0 = plusDot(d0, q, n0);
          d1 = plusDot(d1, q, n1);
        }
        x += T << 2;
        if (!ASC_FEATURE_RELAXED_SIMD) {
          v0 = i16x8.shr_u(v0, 8);
          v1 = i16x8.shr_u(v1, 8);
        }
      } while (!ASC_FEATURE_RELAXED_SIMD && odd++ == 0);
    }
    const s0 = scales(kind, w, 0, mask, factor);
    const s1 = scales(kind, w, 1, mask, factor);
    const m0 = kind == Q4 ? s0 : minima(kind, w, 0, mask, factor);
    const m1 = kind == Q4 ? s1 : minima(kind, w, 1, mask, factor);
    const sum = x + (T << 2);
    addShares(kind, sums, a0, a1, s0, s1, m0, m1, v128.load32_splat(x), v128.load32_splat(sum), zero);
    addShares(kind, sums + 32, b0, b1, s0, s1, m0, m1, v128.load32_splat(x, 4), v128.load32_splat(sum, 4), zero);
    if (T > 2) {
      addShares(kind, sums + 64, c0, c1, s0, s1, m0, m1, v128.load32_splat(x, 8), v128.load32_splat(sum, 8), zero);
      addShares(kind, sums + 96, d0, d1, s0, s1, m0, m1, v128.load32_splat(x, 12), v128.load32_splat(sum, 12), zero);
    }
    x += T << 3;
  }
}

// @ts-ignore: decorator
@inline
function gemmFew(kind: i32, product: Product, rowStart: i32, rowEnd: i32): void {
  const wide = !ASC_FEATURE_RELAXED_SIMD;
  const padded = (product.columns + 31) & ~31;
  const groupBytes = <usize>(padded >> 5) * (128 + parameterBytes(kind));
  const tiles = product.scratch + FEW_SUMS;
  fillTiles(tiles, product.activations, product.tokens, padded, wide);
  let w = product.weights + <usize>(rowStart >> 3) * groupBytes;
  for (let row = rowStart; row < rowEnd; row += 8, w += groupBytes) {
    let sums = product.scratch;
    memory.fill(sums, 0, FEW_SUMS);
    let x = tiles;
    let left = product.tokens;
    for (; left > 2; left -= 4, sums += 128, x += tileBytes(4, padded, wide)) addRows(4, kind, sums, w, x, padded);
    if (left > 0) addRows(2, kind, sums, w, x, padded);
    storeSums(product.out, product.scratch, product.tokens, product.rows, row, rowEnd, product.accumulate != 0);
  }
}

/** 2 to 16 tokens × layout `q4`; activations from `quantise_per_block`. */
export function gemm_few_q4(product: Product, rowStart: i32, rowEnd: i32): void {
  gemmFew(Q4, product, rowStart, rowEnd);
}

/** 2 to 16 tokens × layout `q4min`. */
export function gemm_few_q4min(product: Product, rowStart: i32, rowEnd: i32): void {
  gemmFew(Q4_MIN, product, rowStart, rowEnd);
}

/** 2 to 16 tokens × layout `q4k`. */
export function gemm_few_q4k(product: Product, rowStart: i32, rowEnd: i32): void {
  gemmFew(Q4_K, product, rowStart, rowEnd);
}
