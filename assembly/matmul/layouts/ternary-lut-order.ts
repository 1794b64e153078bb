// Where the codes of layout `ternary-lut` lie: per panel of 1024 rows, per 512 columns, per tile of 32 rows, per 16
// columns four times 2 × 16 bytes. Byte vector c of a half tile holds columns c, 4 + c, 8 + c, 12 + c of its 16 rows, from
// the low bits up, the rows in the order 0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15. The last panel and the last
// columns are what is left of them. Rows are a multiple of 32, columns padded to 32.
import { Lookup } from "../../abi/lookup";
import { zeroRow } from "../store";

/** Rows of a panel. Long pieces of one block of columns follow each other in memory: that keeps the prefetcher going. */
export const PANEL: i32 = 1024;
/** Columns of a block: their look-up tables are 8 kB, a quarter of the nearest cache. */
export const BLOCK: i32 = 512;
/** Rows of a tile: two vectors share each load of a table. */
export const TILE: i32 = 32;

/** Rows of the panel that begins with `row`. */
// @ts-ignore: decorator
@inline
export function panelRows(row: i32, rows: i32): i32 {
  return min(rows - row, PANEL);
}

/** Place of the tile at `row` in the block at `column`; columns `column` + 16, … follow 128 bytes apart. */
// @ts-ignore: decorator
@inline
export function tileOf(weights: usize, rows: i32, padded: i32, row: i32, column: i32): usize {
  const panel = row & ~(PANEL - 1);
  const width = min(padded - column, BLOCK);
  return (
    weights +
    <usize>panel * (padded >> 2) +
    <usize>panelRows(panel, rows) * (column >> 2) +
    <usize>(row - panel) * (width >> 2)
  );
}

/** Code of one weight, 0 … 2. */
// @ts-ignore: decorator
@inline
function codeOf(weights: usize, rows: i32, padded: i32, row: i32, column: i32): i32 {
  const tile = tileOf(weights, rows, padded, row & ~(TILE - 1), column & ~(BLOCK - 1));
  const vector = tile + ((<usize>(column & (BLOCK - 1)) >> 4) << 7) + ((column & 3) << 5) + (row & 16);
  return (<i32>load<u8>(vector + ((row & 3) << 1) + (row & 8) + ((row >> 2) & 1)) >> ((column & 12) >> 1)) & 3;
}

/** Rows of a matrix: out f32 [tokens][columns] = scale · (code − 1); zeros for an id outside it. */
export function rows_ternary_lut(lookup: Lookup): void {
  let out = lookup.out;
  const weights = lookup.weights;
  const ids = lookup.ids;
  const tokens = lookup.tokens;
  const rows = lookup.rows;
  const columns = lookup.columns;
  const scale = lookup.scale;
  const padded = (columns + 31) & ~31;
  for (let t = 0; t < tokens; t++, out += (<usize>columns) << 2) {
    const row = load<i32>(ids + (t << 2));
    if (<u32>row >= <u32>rows) zeroRow(out, columns);
    else
      for (let c = 0; c < columns; c++)
        store<f32>(out + ((<usize>c) << 2), <f32>(codeOf(weights, rows, padded, row, c) - 1) * scale);
  }
}

/** 16 columns of 8 rows from layout `ternary`, with the rows in the order above: per column 8 bytes. */
// @ts-ignore: decorator
@inline
function columnsOf(low: v128, high: v128, second: bool): v128 {
  const rows01 = v128.shuffle<i8>(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const rows23 = v128.shuffle<i8>(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  return second
    ? v128.shuffle<i16>(rows01, rows23, 2, 6, 10, 14, 3, 7, 11, 15)
    : v128.shuffle<i16>(rows01, rows23, 0, 4, 8, 12, 1, 5, 9, 13);
}

/** Layout `ternary-lut` to `ternary`, in place; `temp` as below. */
export function restore_ternary(weights: usize, rows: i32, columns: i32, temp: usize): void {
  const padded = (columns + 31) & ~31;
  const group = <usize>padded << 1;
  for (let panel = 0; panel < rows; panel += PANEL) {
    const count = panelRows(panel, rows);
    const start = weights + <usize>panel * (padded >> 2);
    memory.copy(temp, start, <usize>count * (padded >> 2));
    for (let block = 0; block < padded; block += BLOCK) {
      for (let row = 0; row < count; row += 16) {
        let to = start + <usize>(row >> 3) * group + ((<usize>block) << 1);
        let from = temp - start + tileOf(weights, rows, padded, panel + (row & ~(TILE - 1)), block) + (row & 16);
        for (const end = to + (<usize>min(padded - block, BLOCK) << 1); to < end; to += 32, from += 128) {
          const a = v128.load(from);
          const b = v128.load(from, 32);
          const c = v128.load(from, 64);
          const d = v128.load(from, 96);
          putRows(to, v128.shuffle<i64>(a, b, 0, 2), v128.shuffle<i64>(c, d, 0, 2));
          putRows(to + group, v128.shuffle<i64>(a, b, 1, 3), v128.shuffle<i64>(c, d, 1, 3));
        }
      }
    }
  }
}

/** What `columnsOf` has made, back. */
// @ts-ignore: decorator
@inline
function putRows(to: usize, first: v128, second: v128): void {
  const rows01 = v128.shuffle<i16>(first, second, 0, 4, 8, 12, 1, 5, 9, 13);
  const rows23 = v128.shuffle<i16>(first, second, 2, 6, 10, 14, 3, 7, 11, 15);
  v128.store(to, v128.shuffle<i8>(rows01, rows23, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
  v128.store(to, v128.shuffle<i8>(rows01, rows23, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31), 16);
}

/** Layout `ternary` to `ternary-lut`, in place; `temp`: the bytes of a panel, min(rows, 1024) · padded / 4. */
export function arrange_ternary_lut(weights: usize, rows: i32, columns: i32, temp: usize): void {
  const padded = (columns + 31) & ~31;
  const group = <usize>padded << 1;
  for (let panel = 0; panel < rows; panel += PANEL) {
    const count = panelRows(panel, rows);
    memory.copy(temp, weights + <usize>panel * (padded >> 2), <usize>count * (padded >> 2));
    for (let block = 0; block < padded; block += BLOCK) {
      for (let row = 0; row < count; row += 16) {
        let from = temp + <usize>(row >> 3) * group + ((<usize>block) << 1);
        let to = tileOf(weights, rows, padded, panel + (row & ~(TILE - 1)), block) + (row & 16);
        for (const end = from + (<usize>min(padded - block, BLOCK) << 1); from < end; from += 32, to += 128) {
          const a = v128.load(from);
          const b = v128.load(from, 16);
          const c = v128.load(from + group);
          const d = v128.load(from + group, 16);
          const first = columnsOf(a, b, false);
          const last = columnsOf(c, d, false);
          v128.store(to, v128.shuffle<i64>(first, last, 0, 2));
          v128.store(to, v128.shuffle<i64>(first, last, 1, 3), 32);
          const third = columnsOf(a, b, true);
          const fourth = columnsOf(c, d, true);
          v128.store(to, v128.shuffle<i64>(third, fourth, 0, 2), 64);
          v128.store(to, v128.shuffle<i64>(third, fourth, 1, 3), 96);
        }
      }
    }
  }
}
