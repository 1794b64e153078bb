// Ternary matrices × few tokens in the relaxed build: the codes of 8 rows are unpacked in registers for up to four tokens at
// once.
import { Product } from "../../abi/product";
import { hiddenBytes } from "../opaque";
import { centred, storeTernary } from "../store";
import { gemm_ternary } from "./ternary-gemm";

/** acc + the sums of q · codes: 16-bit pair sums, or with `dot32` 32-bit sums. */
// @ts-ignore: decorator
@inline
function plusDot(dot32: bool, acc: v128, q: v128, codes: v128): v128 {
  return dot32
    ? i32x4.relaxed_dot_i8x16_i7x16_add_s(q, codes, acc)
    : i16x8.add(acc, i16x8.relaxed_dot_i8x16_i7x16_s(q, codes));
}

/** Adds what a span has summed to the i32 sums at `to`. */
// @ts-ignore: decorator
@inline
function addSums(dot32: bool, to: usize, sum: v128): void {
  v128.store(to, i32x4.add(v128.load(to), dot32 ? sum : i32x4.extadd_pairwise_i16x8_s(sum)));
}

/**
 * Σ code · x of 8 rows × `T` tokens (2, 3 or 4), to i32 sums of 32 bytes per token. `x`: from `fillTile`. 16-bit sums last
 * 256 columns: 64 · (2 · 127 · 2) = 32512. Unrolled, the optimiser's order of the sums needs more registers than there are.
 */
// @ts-ignore: decorator
@inline
function addTile(T: i32, dot32: bool, sums: usize, w: usize, x: usize, padded: i32): void {
  const mask = hiddenBytes(3);
  const end = x + <usize>(padded * T);
  while (x < end) {
    let a0 = i32x4.splat(0);
    let a1 = a0;
    let b0 = a0;
    let b1 = a0;
    let c0 = a0;
    let c1 = a0;
    let d0 = a0;
    let d1 = a0;
    for (const stop = min(x + 256 * T, end); x < stop; w += 32) {
      let v0 = v128.load(w);
      let v1 = v128.load(w, 16);
      for (const pause = x + 16 * T; x < pause; x += 4 * T) {
        const u0 = v128.and(v0, mask);
        const u1 = v128.and(v1, mask);
        let q = v128.load32_splat(x);
        a0 = plusDot(dot32, a0, q, u0);
        a1 = plusDot(dot32, a1, q, u1);
        q = v128.load32_splat(x, 4);
        b0 = plusDot(dot32, b0, q, u0);
        b1 = plusDot(dot32, b1, q, u1);
        if (T > 2) {
          q = v128.load32_splat(x, 8);
          c0 = plusDot(dot32, c0, q, u0);
          c1 = plusDot(dot32, c1, q, u1);
        }
        if (T > 3) {
          q = v128.load32_splat(x, 12);
          d0 = plusDot(dot32, d0, q, u0);
          d1 = plusDot(dot32, d1, q, u1);
        }
        v0 = i16x8.shr_u(v0, 2);
        v1 = i16x8.shr_u(v1, 2);
      }
    }
    addSums(dot32, sums, a0);
    addSums(dot32, sums + 16, a1);
    addSums(dot32, sums + 32, b0);
    addSums(dot32, sums + 48, b1);
    if (T > 2) {
      addSums(dot32, sums + 64, c0);
      addSums(dot32, sums + 80, c1);
    }
    if (T > 3) {
      addSums(dot32, sums + 96, d0);
      addSums(dot32, sums + 112, d1);
    }
  }
}

/** acc + the 16-bit pair sums of q · (codes under the mask). */
// @ts-ignore: decorator
@inline
function plusMasked(acc: v128, q: v128, codes: v128, mask: v128): v128 {
  return i16x8.add(acc, i16x8.relaxed_dot_i8x16_i7x16_s(q, v128.and(codes, mask)));
}

/**
 * Two tokens with 16-bit sums, for which there are registers enough to save half of the shifts: `B` sums hold four times
 * their value and last 128 columns, 16 · (2 · 127 · 8) = 32512. `x`: codes of the first token; side by side they are slower.
 */
// @ts-ignore: decorator
@inline
function addRowsOfTwo(sums: usize, w: usize, x: usize, stride: usize, padded: i32): void {
  const low = hiddenBytes(0x03);
  const next = hiddenBytes(0x0c);
  const end = x + padded;
  while (x < end) {
    let a0 = i16x8.splat(0);
    let a1 = a0;
    let aB0 = a0;
    let aB1 = a0;
    let b0 = a0;
    let b1 = a0;
    let bB0 = a0;
    let bB1 = a0;
    for (const stop = min(x + 128, end); x < stop; w += 32) {
      let v0 = v128.load(w);
      let v1 = v128.load(w, 16);
      for (let half = 0; half < 2; half++, x += 8) {
        let q = v128.load32_splat(x);
        let p = v128.load32_splat(x + stride);
        a0 = plusMasked(a0, q, v0, low);
        b0 = plusMasked(b0, p, v0, low);
        a1 = plusMasked(a1, q, v1, low);
        b1 = plusMasked(b1, p, v1, low);
        q = v128.load32_splat(x, 4);
        p = v128.load32_splat(x + stride, 4);
        aB0 = plusMasked(aB0, q, v0, next);
        bB0 = plusMasked(bB0, p, v0, next);
        aB1 = plusMasked(aB1, q, v1, next);
        bB1 = plusMasked(bB1, p, v1, next);
        v0 = i16x8.shr_u(v0, 4);
        v1 = i16x8.shr_u(v1, 4);
      }
    }
    addSums(false, sums, i16x8.add(a0, i16x8.shr_s(aB0, 2)));
    addSums(false, sums + 16, i16x8.add(a1, i16x8.shr_s(aB1, 2)));
    addSums(false, sums + 32, i16x8.add(b0, i16x8.shr_s(bB0, 2)));
    addSums(false, sums + 48, i16x8.add(b1, i16x8.shr_s(bB1, 2)));
  }
}

/** Tokens of the next tile when `left` are left, which is never 1. */
// @ts-ignore: decorator
@inline
function tileTokens(left: i32): i32 {
  return left > 5 || left == 4 ? 4 : left == 2 ? 2 : 3;
}

/** Codes of a tile's tokens side by side, four columns of each in turn: one pointer walks over all of them. */
// @ts-ignore: decorator
@inline
function fillTile(to: usize, x: usize, tokens: usize, stride: usize, padded: usize): void {
  for (let t: usize = 0; t < tokens; t++, x += stride)
    for (let c: usize = 0; c < padded; c += 4) store<u32>(to + c * tokens + (t << 2), load<u32>(x + c));
}

/** Panels that meet one tile after the other: the second cache has them, the first one the activations of a tile. */
const PANELS: i32 = 16;
/** Of four tokens. */
const SUM_BYTES: usize = 128;

// @ts-ignore: decorator
@inline
function gemmFew(dot32: bool, product: Product, rowStart: i32, rowEnd: i32): void {
  const padded = (product.columns + 31) & ~31;
  const stride = <usize>(16 + 3 * padded);
  const groupBytes = <usize>padded << 1;
  const accumulate = product.accumulate != 0;
  const sums = product.scratch;
  let record = product.activations;
  let tile = sums + SUM_BYTES;
  for (let left = product.tokens; left > 0; ) {
    const tokens = tileTokens(left);
    fillTile(tile, record + 16, tokens, stride, padded);
    tile += <usize>(tokens * padded);
    record += <usize>tokens * stride;
    left -= tokens;
  }
  let w = product.weights + <usize>(rowStart >> 3) * groupBytes;
  for (let first = rowStart; first < rowEnd; first += 8 * PANELS, w += PANELS * groupBytes) {
    const end = min(first + 8 * PANELS, rowEnd);
    record = product.activations;
    tile = sums + SUM_BYTES;
    let out = product.out;
    for (let left = product.tokens; left > 0; ) {
      const tokens = tileTokens(left);
      let panel = w;
      for (let row = first; row < end; row += 8, panel += groupBytes) {
        memory.fill(sums, 0, SUM_BYTES);
        if (tokens == 4) addTile(4, dot32, sums, panel, tile, padded);
        else if (tokens == 3) addTile(3, dot32, sums, panel, tile, padded);
        else if (dot32) addTile(2, dot32, sums, panel, tile, padded);
        else addRowsOfTwo(sums, panel, record + 16, stride, padded);
        let from = sums;
        let r = record;
        let to = out + (<usize>row << 2);
        for (let t = 0; t < tokens; t++, from += 32, r += stride, to += <usize>product.rows << 2) {
          storeTernary(to, centred(v128.load(from), r), r, product.scale, rowEnd - row, accumulate);
          storeTernary(to + 16, centred(v128.load(from, 16), r), r, product.scale, rowEnd - row - 4, accumulate);
        }
      }
      tile += <usize>(tokens * padded);
      record += <usize>tokens * stride;
      out += <usize>(tokens * product.rows) << 2;
      left -= tokens;
    }
  }
}

/** 2 to 16 tokens × layout `ternary`; activations from `quantise_per_token`; rows `rowStart` (a multiple of 8) to `rowEnd` − 1. */
export function gemm_few_ternary(product: Product, rowStart: i32, rowEnd: i32): void {
  if (ASC_FEATURE_RELAXED_SIMD) gemmFew(false, product, rowStart, rowEnd);
  else gemm_ternary(product, rowStart, rowEnd);
}

/** The same with 32-bit dot products. A kernel of its own: together they keep the optimiser busy for a second. */
export function gemm_few_ternary32(product: Product, rowStart: i32, rowEnd: i32): void {
  if (ASC_FEATURE_RELAXED_SIMD) gemmFew(true, product, rowStart, rowEnd);
  else gemm_ternary(product, rowStart, rowEnd);
}
