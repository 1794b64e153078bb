// One token × a ternary matrix in layout `ternary-lut`, by look-up: the two codes of a column pair, 4 bits, select one of
// the 9 values c0 · x0 + c1 · x1 from a table, for 16 rows in one swizzle. A value needs 9 bits. As 32 · h + l − 256 it is two
// bytes so small that they add up as bytes: 8 of l (0 … 31), 16 of h (0 … 15), before the sums must be widened.
import { Product } from "../../abi/product";
import { BLOCK, PANEL, panelRows, TILE, tileOf } from "./ternary-lut-order";
import { hiddenBytes, hiddenShorts } from "../opaque";
import { storeTernary } from "../store";

/** 256 of each of the padded / 2 pairs. */
// @ts-ignore: decorator
@inline
function offsetOf(padded: i32): v128 {
  return i32x4.splat(padded << 7);
}

/** The tables l and h of the pair x0, x1; index: code of x0 + 4 · code of x1. */
// @ts-ignore: decorator
@inline
function putTables(to: usize, x0: usize, x1: usize, signs: v128, firstFour: v128, offset: v128, low: v128): void {
  const base = i16x8.add(i16x8.mul(i16x8.splat(<i16>load<i8>(x0)), signs), offset);
  const second = v128.and(i16x8.splat(<i16>load<i8>(x1)), firstFour);
  // Codes 0 and 1 of x1, code 2.
  const a = i16x8.sub(base, second);
  const b = i16x8.add(base, second);
  v128.store(to, i8x16.narrow_i16x8_u(v128.and(a, low), v128.and(b, low)));
  v128.store(to, i8x16.narrow_i16x8_u(i16x8.shr_u(a, 5), i16x8.shr_u(b, 5)), 16);
}

/** Tables of all pairs in the order in which `addTile` meets them, 16 bytes per column. */
// @ts-ignore: decorator
@inline
function buildTables(tables: usize, bytes: usize, padded: i32): void {
  // −1, 0, 1, 0, twice.
  const signs = v128.and(i64x2.splat(0x0000_0001_0000_ffff), hiddenShorts(-1));
  const firstFour = v128.and(i64x2.replace_lane(i64x2.splat(0), 0, -1), hiddenShorts(-1));
  const offset = hiddenShorts(256);
  const low = hiddenShorts(31);
  for (const end = bytes + padded; bytes < end; bytes += 12) {
    for (const quad = bytes + 4; bytes < quad; bytes++, tables += 64) {
      putTables(tables, bytes, bytes + 4, signs, firstFour, offset, low);
      putTables(tables + 32, bytes + 8, bytes + 12, signs, firstFour, offset, low);
    }
  }
}

/** Adds 32 · h + l of 16 rows to their sums. `all`: sums of 16-bit lanes, even byte + 256 · odd byte; `odd`: of odd bytes. */
// @ts-ignore: decorator
@inline
function addSums(to: usize, hAll: v128, hOdd: v128, lAll: v128, lOdd: v128): void {
  const hEven = i16x8.sub(hAll, i16x8.shl(hOdd, 8));
  const lEven = i16x8.sub(lAll, i16x8.shl(lOdd, 8));
  addFour(to, i32x4.extend_low_i16x8_u(hEven), i32x4.extend_low_i16x8_u(lEven));
  addFour(to + 16, i32x4.extend_low_i16x8_u(hOdd), i32x4.extend_low_i16x8_u(lOdd));
  addFour(to + 32, i32x4.extend_high_i16x8_u(hEven), i32x4.extend_high_i16x8_u(lEven));
  addFour(to + 48, i32x4.extend_high_i16x8_u(hOdd), i32x4.extend_high_i16x8_u(lOdd));
}

// @ts-ignore: decorator
@inline
function addFour(to: usize, h: v128, l: v128): void {
  v128.store(to, i32x4.add(v128.load(to), i32x4.add(i32x4.shl(h, 5), l)));
}

/** Adds the products of `columns` columns (at most `BLOCK`) of a tile to the sums of its 32 rows. */
// @ts-ignore: decorator
@inline
function addTile(to: usize, w: usize, t: usize, columns: i32, nibble: v128): void {
  const zero = i8x16.splat(0);
  let hAll0 = zero;
  let hOdd0 = zero;
  let lAll0 = zero;
  let lOdd0 = zero;
  let hAll1 = zero;
  let hOdd1 = zero;
  let lAll1 = zero;
  let lOdd1 = zero;
  for (const end = t + ((<usize>columns) << 4); t < end; ) {
    let h0 = zero;
    let h1 = zero;
    for (let half = 0; half < 2; half++) {
      let l0 = zero;
      let l1 = zero;
      // Rolled: V8 keeps the order within a short loop, and with it the sums in registers.
      for (let c = 0; c < 4; c++, w += 32, t += 64) {
        const v0 = v128.load(w);
        const v1 = v128.load(w, 16);
        const a0 = v128.and(v0, nibble);
        const b0 = v128.and(i16x8.shr_u(v0, 4), nibble);
        const a1 = v128.and(v1, nibble);
        const b1 = v128.and(i16x8.shr_u(v1, 4), nibble);
        let table = v128.load(t);
        l0 = i8x16.add(l0, i8x16.swizzle(table, a0));
        l1 = i8x16.add(l1, i8x16.swizzle(table, a1));
        table = v128.load(t, 16);
        h0 = i8x16.add(h0, i8x16.swizzle(table, a0));
        h1 = i8x16.add(h1, i8x16.swizzle(table, a1));
        table = v128.load(t, 32);
        l0 = i8x16.add(l0, i8x16.swizzle(table, b0));
        l1 = i8x16.add(l1, i8x16.swizzle(table, b1));
        table = v128.load(t, 48);
        h0 = i8x16.add(h0, i8x16.swizzle(table, b0));
        h1 = i8x16.add(h1, i8x16.swizzle(table, b1));
      }
      lAll0 = i16x8.add(lAll0, l0);
      lOdd0 = i16x8.add(lOdd0, i16x8.shr_u(l0, 8));
      lAll1 = i16x8.add(lAll1, l1);
      lOdd1 = i16x8.add(lOdd1, i16x8.shr_u(l1, 8));
    }
    hAll0 = i16x8.add(hAll0, h0);
    hOdd0 = i16x8.add(hOdd0, i16x8.shr_u(h0, 8));
    hAll1 = i16x8.add(hAll1, h1);
    hOdd1 = i16x8.add(hOdd1, i16x8.shr_u(h1, 8));
  }
  addSums(to, hAll0, hOdd0, lAll0, lOdd0);
  addSums(to + 64, hAll1, hOdd1, lAll1, lOdd1);
}

/**
 * `tokens` tokens, one after the other; activations from `quantise_per_token`; rows `rowStart … rowEnd − 1`, multiples of
 * 32. The integers and the rest are those of `gemv_ternary`, hence the bits.
 */
export function gemv_ternary_lut(product: Product, rowStart: i32, rowEnd: i32): void {
  const weights = product.weights;
  const rows = product.rows;
  const columns = product.columns;
  const scale = product.scale;
  const accumulate = product.accumulate != 0;
  const scratch = product.scratch;
  const padded = (columns + 31) & ~31;
  const tables = scratch + 4 * PANEL;
  const nibble = hiddenBytes(15);
  const offset = offsetOf(padded);
  let out = product.out;
  let record = product.activations;
  for (let t = 0; t < product.tokens; t++, out += (<usize>rows) << 2, record += <usize>(16 + 3 * padded)) {
    buildTables(tables, record + 16, padded);
    for (let row = rowStart; row < rowEnd; ) {
      const panel = row & ~(PANEL - 1);
      const count = min(rowEnd, panel + panelRows(panel, rows)) - row;
      memory.fill(scratch, 0, count << 2);
      for (let column = 0; column < padded; column += BLOCK) {
        const width = min(padded - column, BLOCK);
        let w = tileOf(weights, rows, padded, row, column);
        const t = tables + ((<usize>column) << 4);
        for (let r = 0; r < count; r += TILE, w += width << 3) addTile(scratch + ((<usize>r) << 2), w, t, width, nibble);
      }
      for (let r = 0; r < count; r += 4, row += 4) {
        const sum = i32x4.sub(v128.load(scratch + ((<usize>r) << 2)), offset);
        storeTernary(out + ((<usize>row) << 2), sum, record, scale, 4, accumulate);
      }
    }
  }
}
