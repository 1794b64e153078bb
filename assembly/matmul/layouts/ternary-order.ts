// Ternary matrices by single rows (`ternary-rows`) and by single columns (`ternary-columns`), from layout `ternary` and back.
// A row: per 64 columns 16 bytes, byte i holding columns i, 16 + i, 32 + i, 48 + i from the low bits up. A column: the same of
// rows, in blocks of `blockRows` rows, one column of a block after the other. Both are padded to 64 with codes that no
// product counts.
import { Lookup } from "../../abi/lookup";
import { hiddenBytes } from "../opaque";
import { lanesOf, transposeFields } from "../repack/transpose";
import { zeroRow } from "../store";

/** Bytes of one row of so many columns, or of one column of so many rows. */
// @ts-ignore: decorator
@inline
export function lineBytes(count: i32): usize {
  return <usize>((count + 63) >> 6) << 4;
}

/** Layout `ternary` to `ternary-rows`, in place; `temp`: the bytes of 8 rows. */
export function arrange_ternary_rows(weights: usize, rows: i32, columns: i32, temp: usize): void {
  const padded = (columns + 31) & ~31;
  const group = <usize>padded << 1;
  const line = lineBytes(columns);
  const nibbles = lanesOf(0x0f0f0f0f, 0x0f0f0f0f, 0xf0f0f0f0, 0xf0f0f0f0);
  const firstTwo = lanesOf(-1, -1, 0, 0);
  const twos = lanesOf(0x33333333, 0xcccccccc, 0x33333333, 0xcccccccc);
  const even = lanesOf(-1, 0, -1, 0);
  // From the end: lines may be longer than the units they come from.
  for (let g = (rows - 1) >> 3; g >= 0; g--) {
    memory.copy(temp, weights + <usize>g * group, group);
    for (let r = 0; r < 8; r++) {
      let to = weights + <usize>((g << 3) + r) * line;
      for (let from: usize = 0; from < group; from += 128, to += 16) {
        const at = temp + from + (<usize>r << 2);
        let v = v128.load32_zero(at);
        v = v128.load32_lane(at + 32, v, 1);
        if (from + 64 < group) {
          v = v128.load32_lane(at + 64, v, 2);
          v = v128.load32_lane(at + 96, v, 3);
        }
        v128.store(to, transposeFields(v, nibbles, firstTwo, twos, even));
      }
    }
  }
}

/** Rows `row … row + count − 1` (multiples of 8) of layout `ternary-rows` as layout `ternary`. */
export function rowsToPanels(to: usize, weights: usize, row: i32, count: i32, columns: i32): void {
  const padded = (columns + 31) & ~31;
  const group = <usize>padded << 1;
  const line = lineBytes(columns);
  const nibbles = lanesOf(0x0f0f0f0f, 0x0f0f0f0f, 0xf0f0f0f0, 0xf0f0f0f0);
  const firstTwo = lanesOf(-1, -1, 0, 0);
  const twos = lanesOf(0x33333333, 0xcccccccc, 0x33333333, 0xcccccccc);
  const even = lanesOf(-1, 0, -1, 0);
  for (let r = 0; r < count; r++) {
    let from = weights + <usize>(row + r) * line;
    let at = to + <usize>(r >> 3) * group + (<usize>(r & 7) << 2);
    for (let unit: usize = 0; unit < group; unit += 128, from += 16, at += 128) {
      const v = transposeFields(v128.load(from), nibbles, firstTwo, twos, even);
      v128.store32_lane(at, v, 0);
      v128.store32_lane(at + 32, v, 1);
      if (unit + 64 >= group) break;
      v128.store32_lane(at + 64, v, 2);
      v128.store32_lane(at + 96, v, 3);
    }
  }
}

/** Four vectors at `from`, 64 bytes apart: field q of vector f → field f of vector q, to `to` + f · `step`, of which `count` exist. */
// @ts-ignore: decorator
@inline
function transposeVectors(to: usize, step: usize, count: i32, from: usize, low: v128, pair: v128): void {
  const a = v128.load(from);
  const b = v128.load(from, 64);
  const c = v128.load(from, 128);
  const d = v128.load(from, 192);
  const ac = v128.bitselect(a, i16x8.shl(c, 4), low);
  const ca = v128.bitselect(i16x8.shr_u(a, 4), c, low);
  const bd = v128.bitselect(b, i16x8.shl(d, 4), low);
  const db = v128.bitselect(i16x8.shr_u(b, 4), d, low);
  if (count > 0) v128.store(to, v128.bitselect(ac, i16x8.shl(bd, 2), pair));
  if (count > 1) v128.store(to + step, v128.bitselect(i16x8.shr_u(ac, 2), bd, pair));
  if (count > 2) v128.store(to + 2 * step, v128.bitselect(ca, i16x8.shl(db, 2), pair));
  if (count > 3) v128.store(to + 3 * step, v128.bitselect(i16x8.shr_u(ca, 2), db, pair));
}

/** Of `columns`, how many of column, column + 4, column + 8, column + 12 exist. */
// @ts-ignore: decorator
@inline
function fieldsLeft(columns: i32, column: i32): i32 {
  return (columns - column + 3) >> 2;
}

/** Layout `ternary` to `ternary-columns`, in place; `temp`: the bytes of a block and 256. */
export function arrange_ternary_columns(weights: usize, rows: i32, columns: i32, blockRows: i32, temp: usize): void {
  const padded = (columns + 31) & ~31;
  const group = <usize>padded << 1;
  const line = lineBytes(blockRows);
  const block = <usize>(blockRows >> 3) * group;
  const work = temp + block;
  const low = hiddenBytes(0x0f);
  const pair = hiddenBytes(0x33);
  for (let first = 0; first < rows; first += blockRows) {
    const filled = <usize>((min(rows - first, blockRows) + 7) >> 3) * group;
    const panels = weights + <usize>(first >> 3) * group;
    const lines = weights + <usize>(first >> 6 << 4) * columns;
    memory.copy(temp, panels, filled);
    memory.fill(temp + filled, 0, block - filled);
    for (let strip = 0; strip < blockRows; strip += 64) {
      const to = lines + (<usize>strip >> 2);
      let from = temp + <usize>(strip >> 3) * group;
      for (let c = 0; c < padded; c += 16, from += 32) {
        for (let q: usize = 0; q < 4; q++) {
          const at = from + 2 * q * group;
          const a = v128.load(at);
          const b = v128.load(at, 16);
          const d = v128.load(at + group);
          const e = v128.load(at + group, 16);
          // Columns 0, 1 and 2, 3 of eight rows each.
          const a01 = v128.shuffle<i8>(a, b, 0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
          const a23 = v128.shuffle<i8>(a, b, 2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31);
          const d01 = v128.shuffle<i8>(d, e, 0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
          const d23 = v128.shuffle<i8>(d, e, 2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31);
          const put = work + (q << 6);
          v128.store(put, v128.shuffle<i64>(a01, d01, 0, 2));
          v128.store(put, v128.shuffle<i64>(a01, d01, 1, 3), 16);
          v128.store(put, v128.shuffle<i64>(a23, d23, 0, 2), 32);
          v128.store(put, v128.shuffle<i64>(a23, d23, 1, 3), 48);
        }
        for (let i = 0; i < 4; i++)
          transposeVectors(
            to + <usize>(c + i) * line, line << 2, fieldsLeft(columns, c + i), work + (<usize>i << 4), low, pair,
          );
      }
    }
  }
}

/** Rows `row … row + 63` of layout `ternary-columns` as layout `ternary`; `work`: 512 bytes. */
export function columnsToPanels(to: usize, weights: usize, row: i32, columns: i32, blockRows: i32, work: usize): void {
  const padded = (columns + 31) & ~31;
  const group = <usize>padded << 1;
  const line = lineBytes(blockRows);
  const block = row / blockRows;
  const lines = weights + <usize>block * line * columns + (<usize>(row - block * blockRows) >> 2);
  const low = hiddenBytes(0x0f);
  const pair = hiddenBytes(0x33);
  for (let c = 0; c < padded; c += 16, to += 32) {
    for (let i = 0; i < 16; i++)
      v128.store(work + (<usize>i << 4), c + i < columns ? v128.load(lines + <usize>(c + i) * line) : i8x16.splat(0));
    for (let i: usize = 0; i < 64; i += 16) transposeVectors(work + 256 + i, 64, 4, work + i, low, pair);
    for (let q: usize = 0; q < 4; q++) {
      const from = work + 256 + (q << 6);
      const a = v128.load(from);
      const b = v128.load(from, 16);
      const d = v128.load(from, 32);
      const e = v128.load(from, 48);
      const ab = v128.shuffle<i8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      const de = v128.shuffle<i8>(d, e, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      const ab8 = v128.shuffle<i8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      const de8 = v128.shuffle<i8>(d, e, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      const at = to + 2 * q * group;
      v128.store(at, v128.shuffle<i16>(ab, de, 0, 8, 1, 9, 2, 10, 3, 11));
      v128.store(at, v128.shuffle<i16>(ab, de, 4, 12, 5, 13, 6, 14, 7, 15), 16);
      v128.store(at + group, v128.shuffle<i16>(ab8, de8, 0, 8, 1, 9, 2, 10, 3, 11));
      v128.store(at + group, v128.shuffle<i16>(ab8, de8, 4, 12, 5, 13, 6, 14, 7, 15), 16);
    }
  }
}

/** Rows of a matrix in either layout: out f32 [tokens][columns] = scale · (code − 1); zeros for an id outside it. */
// @ts-ignore: decorator
@inline
function lookUp(lookup: Lookup, byColumns: bool): void {
  let out = lookup.out;
  const columns = lookup.columns;
  const line = lineBytes(byColumns ? lookup.blockRows : columns);
  for (let t = 0; t < lookup.tokens; t++, out += <usize>columns << 2) {
    const row = load<i32>(lookup.ids + (<usize>t << 2));
    if (<u32>row >= <u32>lookup.rows) {
      zeroRow(out, columns);
      continue;
    }
    const block = byColumns ? row / lookup.blockRows : 0;
    const inBlock = row - block * lookup.blockRows;
    for (let c = 0; c < columns; c++) {
      const at = byColumns ? <usize>(block * columns + c) * line : <usize>row * line;
      const i = byColumns ? inBlock : c;
      const byte = <i32>load<u8>(lookup.weights + at + (<usize>(i >> 6) << 4) + (i & 15));
      store<f32>(out + (<usize>c << 2), <f32>(((byte >> ((i & 48) >> 3)) & 3) - 1) * lookup.scale);
    }
  }
}

export function rows_ternary_rows(lookup: Lookup): void {
  lookUp(lookup, false);
}

export function rows_ternary_columns(lookup: Lookup): void {
  lookUp(lookup, true);
}
