// Signed 8-bit codes × int8 activations with one scale per 32 columns: layout `q8`. Both operands need their sign, so
// both builds widen to 16 bits.
import { Product } from "../../abi/product";
import { blockShareNoMin } from "../blocks";
import { storeSums } from "../gemm-blocks";
import { F16_FACTOR, F16_MASK_UPPER, firstScales, floatFromF16, lastScales, scalesFromF16 } from "../numbers";
import { hiddenShorts, hiddenWords } from "../opaque";
import { storeOutputs } from "../store";
import { FEW_SUMS, fillTiles, tileBytes } from "../tiles";

/** The first eight bytes as 16-bit numbers, 256 times as large: 32 · (127 · 128 · 256) fits 32 bits. */
// @ts-ignore: decorator
@inline
function firstHigh(zero: v128, v: v128): v128 {
  return v128.shuffle<i8>(zero, v, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

/** The last eight. */
// @ts-ignore: decorator
@inline
function lastHigh(zero: v128, v: v128): v128 {
  return v128.shuffle<i8>(zero, v, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/** One token × layout `q8`; `record` from `quantise_per_block`; rows `rowStart` (a multiple of 8) to `rowEnd` − 1. */
export function gemv_q8(product: Product, rowStart: i32, rowEnd: i32): void {
  const out = product.out;
  const weights = product.weights;
  const record = product.activations;
  const columns = product.columns;
  const accumulate = product.accumulate != 0;
  const padded = (columns + 31) & ~31;
  const pairs = record + padded;
  const parameters = record + <usize>padded * 3;
  let w = weights + <usize>(rowStart >> 3) * (padded >> 5) * 272;
  const mask = hiddenShorts(F16_MASK_UPPER);
  const factor = hiddenWords(F16_FACTOR);
  const zero = hiddenWords(0);
  // Two panels together, one of either half: two streams from memory take a fifth less time than one (an AMD EPYC, a
  // matrix of 30 MB), two next to each other twice as long.
  const half = (rowEnd - rowStart) >> 4;
  const apart = <usize>half * (padded >> 5) * 272;
  let row = rowStart;
  for (const end = rowStart + (half << 3); row < end; row += 8) {
    let total0 = f32x4.splat(0);
    let total1 = total0;
    let total2 = total0;
    let total3 = total0;
    let x = pairs;
    for (let p = parameters, end = p + (padded >> 1); p < end; p += 16) {
      let at = w + 16;
      let v = v128.load(at);
      let u = v128.load(at + apart);
      let q = v128.load32_splat(x);
      let a0 = i32x4.dot_i16x8_s(q, firstHigh(zero, v));
      let a1 = i32x4.dot_i16x8_s(q, lastHigh(zero, v));
      let b0 = i32x4.dot_i16x8_s(q, firstHigh(zero, u));
      let b1 = i32x4.dot_i16x8_s(q, lastHigh(zero, u));
      for (const stop = x + 60; x < stop; ) {
        x += 4;
        at += 16;
        v = v128.load(at);
        u = v128.load(at + apart);
        q = v128.load32_splat(x);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, firstHigh(zero, v)));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, lastHigh(zero, v)));
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, firstHigh(zero, u)));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, lastHigh(zero, u)));
      }
      x += 4;
      const xScale = v128.load32_splat(p);
      let bits = v128.load(w);
      total0 = f32x4.add(total0, blockShareNoMin(i32x4.shr_s(a0, 8), firstScales(bits, mask, factor), xScale));
      total1 = f32x4.add(total1, blockShareNoMin(i32x4.shr_s(a1, 8), lastScales(bits, mask, factor), xScale));
      bits = v128.load(w + apart);
      total2 = f32x4.add(total2, blockShareNoMin(i32x4.shr_s(b0, 8), firstScales(bits, mask, factor), xScale));
      total3 = f32x4.add(total3, blockShareNoMin(i32x4.shr_s(b1, 8), lastScales(bits, mask, factor), xScale));
      w += 272;
    }
    let to = out + ((<usize>row) << 2);
    storeOutputs(to, total0, 4, accumulate);
    storeOutputs(to + 16, total1, 4, accumulate);
    to += <usize>half << 5;
    storeOutputs(to, total2, 4, accumulate);
    storeOutputs(to + 16, total3, 4, accumulate);
  }
  w += apart;
  row += half << 3;
  for (; row < rowEnd; row += 8) {
    let total0 = f32x4.splat(0);
    let total1 = f32x4.splat(0);
    let x = pairs;
    for (let p = parameters, end = p + (padded >> 1); p < end; p += 16) {
      let at = w + 16;
      let v = v128.load(at);
      let q = v128.load32_splat(x);
      let a0 = i32x4.dot_i16x8_s(q, firstHigh(zero, v));
      let a1 = i32x4.dot_i16x8_s(q, lastHigh(zero, v));
      v = v128.load(at, 16);
      q = v128.load32_splat(x, 4);
      let b0 = i32x4.dot_i16x8_s(q, firstHigh(zero, v));
      let b1 = i32x4.dot_i16x8_s(q, lastHigh(zero, v));
      for (const stop = x + 56; x < stop; ) {
        x += 8;
        at += 32;
        v = v128.load(at);
        q = v128.load32_splat(x);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, firstHigh(zero, v)));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, lastHigh(zero, v)));
        v = v128.load(at, 16);
        q = v128.load32_splat(x, 4);
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, firstHigh(zero, v)));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, lastHigh(zero, v)));
      }
      x += 8;
      const xScale = v128.load32_splat(p);
      const bits = v128.load(w);
      const d0 = firstScales(bits, mask, factor);
      const d1 = lastScales(bits, mask, factor);
      total0 = f32x4.add(total0, blockShareNoMin(i32x4.shr_s(i32x4.add(a0, b0), 8), d0, xScale));
      total1 = f32x4.add(total1, blockShareNoMin(i32x4.shr_s(i32x4.add(a1, b1), 8), d1, xScale));
      w += 272;
    }
    const to = out + ((<usize>row) << 2);
    storeOutputs(to, total0, rowEnd - row, accumulate);
    storeOutputs(to + 16, total1, rowEnd - row - 4, accumulate);
  }
}

/** Adds a block's share to the sums of one token; the products are 256 times as large. */
// @ts-ignore: decorator
@inline
function addShares(sums: usize, dot0: v128, dot1: v128, s0: v128, s1: v128, xScale: v128): void {
  v128.store(sums, f32x4.add(v128.load(sums), blockShareNoMin(i32x4.shr_s(dot0, 8), s0, xScale)));
  v128.store(sums, f32x4.add(v128.load(sums, 16), blockShareNoMin(i32x4.shr_s(dot1, 8), s1, xScale)), 16);
}

/** All blocks of 8 rows × a tile of `T` tokens (2 or 4) at `x`: each number is unpacked once for all of them. */
// @ts-ignore: decorator
@inline
function addRows(T: i32, sums: usize, w: usize, x: usize, padded: i32): void {
  const mask = hiddenShorts(F16_MASK_UPPER);
  const factor = hiddenWords(F16_FACTOR);
  const zero = hiddenWords(0);
  for (const end = w + <usize>(padded >> 5) * 272; w < end; x += T << 3) {
    let a0 = i32x4.splat(0);
    let a1 = a0;
    let b0 = a0;
    let b1 = a0;
    let c0 = a0;
    let c1 = a0;
    let d0 = a0;
    let d1 = a0;
    const block = w;
    w += 272;
    for (let at = block + 16; at < w; at += 16, x += T << 2) {
      const v = v128.load(at);
      const v0 = firstHigh(zero, v);
      const v1 = lastHigh(zero, v);
      let q = v128.load32_splat(x);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, v0));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, v1));
      q = v128.load32_splat(x, 4);
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, v0));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, v1));
      if (T > 2) {
        q = v128.load32_splat(x, 8);
        c0 = i32x4.add(c0, i32x4.dot_i16x8_s(q, v0));
        c1 = i32x4.add(c1, i32x4.dot_i16x8_s(q, v1));
        q = v128.load32_splat(x, 12);
        d0 = i32x4.add(d0, i32x4.dot_i16x8_s(q, v0));
        d1 = i32x4.add(d1, i32x4.dot_i16x8_s(q, v1));
      }
    }
    const bits = v128.load(block);
    const s0 = firstScales(bits, mask, factor);
    const s1 = lastScales(bits, mask, factor);
    addShares(sums, a0, a1, s0, s1, v128.load32_splat(x));
    addShares(sums + 32, b0, b1, s0, s1, v128.load32_splat(x, 4));
    if (T > 2) {
      addShares(sums + 64, c0, c1, s0, s1, v128.load32_splat(x, 8));
      addShares(sums + 96, d0, d1, s0, s1, v128.load32_splat(x, 12));
    }
  }
}

/** Panels that meet one tile after the other: the second cache has them, the first one the activations of a tile. */
const PANELS: i32 = 8;
/** Of 8 rows × four tokens. */
const SUM_BYTES: usize = 128;

/** 2 to 16 tokens × layout `q8`; activations from `quantise_per_block`; rows `rowStart` (a multiple of 8) to `rowEnd` − 1. */
export function gemm_few_q8(product: Product, rowStart: i32, rowEnd: i32): void {
  const padded = (product.columns + 31) & ~31;
  const groupBytes = <usize>(padded >> 5) * 272;
  const sums = product.scratch;
  const rows = product.rows;
  const tiles = sums + FEW_SUMS;
  fillTiles(tiles, product.activations, product.tokens, padded, true);
  let w = product.weights + <usize>(rowStart >> 3) * groupBytes;
  for (let first = rowStart; first < rowEnd; first += 8 * PANELS, w += PANELS * groupBytes) {
    const end = min(first + 8 * PANELS, rowEnd);
    let x = tiles;
    let out = product.out;
    for (let left = product.tokens; left > 0; left -= 4, x += tileBytes(4, padded, true), out += <usize>rows << 4) {
      let panel = w;
      for (let row = first; row < end; row += 8, panel += groupBytes) {
        memory.fill(sums, 0, SUM_BYTES);
        if (left > 2) addRows(4, sums, panel, x, padded);
        else addRows(2, sums, panel, x, padded);
        storeSums(out, sums, min(left, 4), rows, row, rowEnd, product.accumulate != 0);
      }
    }
  }
}

/** Unpacks the blocks of `columns` columns for `multiplySegment`. */
// @ts-ignore: decorator
@inline
export function unpackQ8(to: usize, w: usize, columns: i32): void {
  for (let c = 0; c < columns; c += 32) {
    v128.store(to, scalesFromF16(v128.load16x4_s(w)));
    v128.store(to, scalesFromF16(v128.load16x4_s(w, 8)), 16);
    w += 16;
    to += 64;
    for (let j = 0; j < 32; j++, w += 8, to += 16) v128.store(to, v128.load8x8_s(w));
  }
}

/** The number at a column of row `lane` of a panel. */
// @ts-ignore: decorator
@inline
export function valueQ8(panel: usize, lane: i32, column: i32): f32 {
  const block = panel + <usize>(column >> 5) * 272;
  const pair = (((column & 31) >> 2) << 1) + (column & 1);
  const code = load<i8>(block + 16 + (pair << 4) + (lane << 1) + ((column & 2) >> 1));
  return floatFromF16(load<u16>(block + (lane << 1))) * <f32>code;
}
