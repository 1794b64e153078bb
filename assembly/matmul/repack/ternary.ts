// Ternary file formats into layout `ternary`. `temp`: one row of codes, padded to 32.
import { Repack } from "../../abi/repack";
import { hiddenBytes } from "../opaque";
import { packTernaryRow, placeOfRow } from "./pack";
import { code3, lanesOf, transposeFields, unitsOfRow } from "./transpose";

// @ts-ignore: decorator
@inline
function padCodes(temp: usize, columns: i32): void {
  const padded = (columns + 31) & ~31;
  for (let c = columns; c < padded; c++) store<u8>(temp + c, 1);
}

/** Where among `count` bytes the first code 3 is, in the two bits at `shift`, or in any if `shift` < 0. */
function findCode3(bytes: usize, count: i32, shift: i32): i32 {
  for (let i = 0; i < count; i++) {
    const byte = <i32>load<u8>(bytes + i);
    if (byte & (byte >> 1) & (shift < 0 ? 0x55 : 1 << shift)) return i;
  }
  return -1;
}

/** Codes at bits `shift`, `shift` + 1 of `count` bytes to `to`; whether any of them is 3. */
// @ts-ignore: decorator
@inline
function takeCodes(to: usize, bytes: usize, count: i32, shift: i32): bool {
  const mask = hiddenBytes(3);
  let both = i8x16.splat(0);
  let i = 0;
  for (; i + 16 <= count; i += 16) {
    const codes = v128.and(i16x8.shr_u(v128.load(bytes + i), shift), mask);
    both = v128.or(both, v128.and(codes, i16x8.shr_u(codes, 1)));
    v128.store(to + i, codes);
  }
  let bad = v128.any_true(v128.and(both, i8x16.splat(1)));
  for (; i < count; i++) {
    const code = (<i32>load<u8>(bytes + i) >> shift) & 3;
    bad = bad || code == 3;
    store<u8>(to + i, code);
  }
  return bad;
}

/** I2_S whose rows are whole blocks: 16 bytes are one unit of each quarter of the block. */
// @ts-ignore: decorator
@inline
function repackWholeBlocks(
  weights: usize, source: usize, rows: i32, columns: i32, firstRow: i32, headDim: i32, block: i32,
): i32 {
  const quarter = block >> 2;
  // Units of a quarter are 32 bytes per 16 columns apart.
  const step = <usize>quarter << 1;
  const nibbles = lanesOf(0x0f0f0f0f, 0x0f0f0f0f, 0xf0f0f0f0, 0xf0f0f0f0);
  const firstTwo = lanesOf(-1, -1, 0, 0);
  const twos = lanesOf(0x33333333, 0xcccccccc, 0x33333333, 0xcccccccc);
  const even = lanesOf(-1, 0, -1, 0);
  const low = hiddenBytes(0x55);
  let from = source;
  for (let i = 0; i < rows; i++) {
    let bad = i8x16.splat(0);
    let to = unitsOfRow(weights, columns, placeOfRow(firstRow + i, headDim));
    for (let c = 0; c < columns; c += block, to += 4 * step) {
      for (let part: usize = 0; part < <usize>quarter; part += 16, from += 16) {
        const v = v128.load(from);
        bad = v128.or(bad, code3(v, low));
        const units = transposeFields(v, nibbles, firstTwo, twos, even);
        const at = to + (part << 1);
        v128.store32_lane(at, units, 3);
        v128.store32_lane(at + step, units, 2);
        v128.store32_lane(at + 2 * step, units, 1);
        v128.store32_lane(at + 3 * step, units, 0);
      }
    }
    if (v128.any_true(bad)) {
      const line = <i32>(from - source) - (columns >> 2);
      return line + findCode3(source + line, columns >> 2, -1);
    }
  }
  return -1;
}

/**
 * I2_S: a flat array in blocks of `block` (128 or 64) values, value j of a block at bits 6 − 2 · ⌊j / (block / 4)⌋ of
 * byte j mod (block / 4). The first row begins with a block. Returns −1, or the offset from `source` of the first byte
 * with code 3.
 */
export function repack_i2s(job: Repack): i32 {
  const weights = job.weights;
  const source = job.source;
  const rows = job.rows;
  const columns = job.columns;
  const firstRow = job.firstRow;
  const headDim = job.headDim;
  const block = job.block;
  const temp = job.temp;
  const padded = (columns + 31) & ~31;
  const quarter = block >> 2;
  const quarterShift = block == 128 ? 5 : 4;
  const blockShift = quarterShift + 2;
  padCodes(temp, columns);
  if (columns % block == 0) return repackWholeBlocks(weights, source, rows, columns, firstRow, headDim, block);
  let at = 0;
  for (let i = 0; i < rows; i++) {
    for (let c = 0; c < columns; c++, at++) {
      const j = at & (block - 1);
      const byte = (<usize>(at >> blockShift) << quarterShift) + (j & (quarter - 1));
      const code = (<i32>load<u8>(source + byte) >> (6 - ((j >> quarterShift) << 1))) & 3;
      if (code == 3) return <i32>byte;
      store<u8>(temp + c, code);
    }
    packTernaryRow(weights, padded, placeOfRow(firstRow + i, headDim), temp);
  }
  return -1;
}

/** I2_S with four rows per byte: byte g · columns + c holds rows 4g … 4g + 3 from the high bits down. */
export function repack_i2s_rows4(job: Repack): i32 {
  const weights = job.weights;
  const source = job.source;
  const rows = job.rows;
  const columns = job.columns;
  const firstRow = job.firstRow;
  const headDim = job.headDim;
  const temp = job.temp;
  const padded = (columns + 31) & ~31;
  padCodes(temp, columns);
  for (let i = 0; i < rows; i++) {
    const line = (i >> 2) * columns;
    const shift = 6 - ((i & 3) << 1);
    if (takeCodes(temp, source + line, columns, shift)) return line + findCode3(source + line, columns, shift);
    packTernaryRow(weights, padded, placeOfRow(firstRow + i, headDim), temp);
  }
  return -1;
}

/** Hugging Face packed rows, all bytes full: 16 of them are one unit of each of the four rows. */
// @ts-ignore: decorator
@inline
function repackWholeRows(
  weights: usize, source: usize, packedRows: i32, columns: i32, firstRow: i32, quarter: i32, headDim: i32,
): i32 {
  const nibbles = lanesOf(0x0f0f0f0f, 0x0f0f0f0f, 0xf0f0f0f0, 0xf0f0f0f0);
  const firstTwo = lanesOf(-1, -1, 0, 0);
  const twos = lanesOf(0x33333333, 0xcccccccc, 0x33333333, 0xcccccccc);
  const even = lanesOf(-1, 0, -1, 0);
  const low = hiddenBytes(0x55);
  for (let i = 0; i < packedRows; i++) {
    const row = firstRow + i;
    let to0 = unitsOfRow(weights, columns, placeOfRow(row, headDim));
    let to1 = unitsOfRow(weights, columns, placeOfRow(row + quarter, headDim));
    let to2 = unitsOfRow(weights, columns, placeOfRow(row + 2 * quarter, headDim));
    let to3 = unitsOfRow(weights, columns, placeOfRow(row + 3 * quarter, headDim));
    const line = <usize>i * columns;
    let bad = i8x16.splat(0);
    for (let from = source + line, end = from + columns; from < end; from += 16) {
      const v = v128.load(from);
      bad = v128.or(bad, code3(v, low));
      const units = transposeFields(v, nibbles, firstTwo, twos, even);
      v128.store32_lane(to0, units, 0);
      v128.store32_lane(to1, units, 1);
      v128.store32_lane(to2, units, 2);
      v128.store32_lane(to3, units, 3);
      to0 += 32;
      to1 += 32;
      to2 += 32;
      to3 += 32;
    }
    if (v128.any_true(bad)) return <i32>line + findCode3(source + line, columns, -1);
  }
  return -1;
}

/**
 * Hugging Face packed rows: byte (r, c) holds rows r, r + quarter, r + 2 · quarter, r + 3 · quarter of column c from
 * the low bits up. `source`: packed rows `firstRow … firstRow + packedRows − 1`.
 */
export function repack_hf_bitnet(job: Repack): i32 {
  const weights = job.weights;
  const source = job.source;
  const packedRows = job.rows;
  const columns = job.columns;
  const firstRow = job.firstRow;
  const rows = job.matrixRows;
  const quarter = (rows + 3) >> 2;
  const headDim = job.headDim;
  const temp = job.temp;
  const padded = (columns + 31) & ~31;
  padCodes(temp, columns);
  if (columns % 32 == 0 && quarter * 4 == rows)
    return repackWholeRows(weights, source, packedRows, columns, firstRow, quarter, headDim);
  for (let i = 0; i < packedRows; i++) {
    const line = i * columns;
    for (let q = 0; q < 4; q++) {
      const row = firstRow + i + q * quarter;
      if (row >= rows) break;
      if (takeCodes(temp, source + line, columns, q << 1)) return line + findCode3(source + line, columns, q << 1);
      packTernaryRow(weights, padded, placeOfRow(row, headDim), temp);
    }
  }
  return -1;
}
