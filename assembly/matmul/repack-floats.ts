// F32, F16 and BF16 matrices into their layouts. `source`: rows `firstRow …` of the file, row-major; `temp`: scratch.
import { packNibbles, packQ8Block, packTernaryRow, placeOfRow, quantiseBlock } from "./pack";
import { BF16, F16, F32, floatBytes, loadFloat, loadFloats } from "./numbers";

/** Layouts `f32` (size 4) and `f16`, `bf16` (size 2): only the order changes. */
export function repack_float(
  weights: usize, source: usize, rows: i32, columns: i32, firstRow: i32, headDim: i32, size: i32,
): void {
  for (let i = 0; i < rows; i++) {
    const row = placeOfRow(firstRow + i, headDim);
    let to = weights + (<usize>(row >> 3) * columns * 8 + (row & 7)) * size;
    if (size == 4) {
      for (let c = 0; c < columns; c++, source += 4, to += 32) store<u32>(to, load<u32>(source));
    } else {
      for (let c = 0; c < columns; c++, source += 2, to += 16) store<u16>(to, load<u16>(source));
    }
  }
}

/** 32 numbers of a row from column `c`, zeros behind its end, as f32 to `to`. */
// @ts-ignore: decorator
@inline
function loadBlock(type: i32, to: usize, source: usize, c: i32, columns: i32): void {
  const size = floatBytes(type);
  if (c + 32 <= columns) {
    for (let i = 0; i < 32; i += 4) v128.store(to + (i << 2), loadFloats(type, source + <usize>(c + i) * size));
  } else {
    for (let i = 0; i < 32; i++)
      store<f32>(to + (i << 2), c + i < columns ? loadFloat(type, source + <usize>(c + i) * size) : 0);
  }
}

// @ts-ignore: decorator
@inline
function loadBlockOf(type: i32, to: usize, source: usize, c: i32, columns: i32): void {
  if (type == F32) loadBlock(F32, to, source, c, columns);
  else if (type == F16) loadBlock(F16, to, source, c, columns);
  else loadBlock(BF16, to, source, c, columns);
}

/** To layout `q8`: d = f16(max|x| / 127) per 32 columns. */
export function repack_float_q8(
  weights: usize, source: usize, rows: i32, columns: i32, firstRow: i32, headDim: i32, type: i32, temp: usize,
): void {
  const blocks = (columns + 31) >> 5;
  for (let i = 0; i < rows; i++) {
    const row = placeOfRow(firstRow + i, headDim);
    let block = weights + <usize>(row >> 3) * blocks * 272;
    for (let c = 0; c < columns; c += 32, block += 272) {
      loadBlockOf(type, temp, source, c, columns);
      const d = quantiseBlock(temp, temp + 128, 127);
      packQ8Block(block, row & 7, d, temp + 128);
    }
    source += <usize>columns * floatBytes(type);
  }
}

/** To layout `q4`: d = f16(max|x| / 7) per 32 columns, codes 1 … 15. */
export function repack_float_q4(
  weights: usize, source: usize, rows: i32, columns: i32, firstRow: i32, headDim: i32, type: i32, temp: usize,
): void {
  const blocks = (columns + 31) >> 5;
  for (let i = 0; i < rows; i++) {
    const row = placeOfRow(firstRow + i, headDim);
    let block = weights + <usize>(row >> 3) * blocks * 144;
    for (let c = 0; c < columns; c += 32, block += 144) {
      loadBlockOf(type, temp, source, c, columns);
      const d = quantiseBlock(temp, temp + 128, 7);
      const low = i8x16.add(v128.load(temp, 128), i8x16.splat(8));
      const high = i8x16.add(v128.load(temp, 144), i8x16.splat(8));
      v128.store(temp, v128.or(low, i16x8.shl(high, 4)), 128);
      store<u16>(block + ((row & 7) << 1), d);
      packNibbles(block + 16, row & 7, temp + 128);
    }
    source += <usize>columns * floatBytes(type);
  }
}

/** Σ|W| of `rows` rows in f64, row by row, column by column; for the absolute mean of a master matrix. */
export function sum_magnitudes(source: usize, rows: i32, columns: i32, type: i32, before: f64): f64 {
  for (let i = 0; i < rows; i++) {
    let sum: f64 = 0;
    for (let c = 0; c < columns; c++, source += floatBytes(type))
      sum += <f64>abs(type == F32 ? loadFloat(F32, source) : type == F16 ? loadFloat(F16, source) : loadFloat(BF16, source));
    before += sum;
  }
  return before;
}

/** To layout `ternary`: code = clamp(round_half_even(W · inverse), −1, 1) + 1; `temp`: padded bytes. */
export function repack_float_ternary(
  weights: usize, source: usize, rows: i32, columns: i32, firstRow: i32, headDim: i32, type: i32, inverse: f32,
  temp: usize,
): void {
  const padded = (columns + 31) & ~31;
  for (let i = 0; i < rows; i++) {
    for (let c = 0; c < padded; c++) {
      let code = 1;
      if (c < columns) {
        const at = source + <usize>c * floatBytes(type);
        const value = type == F32 ? loadFloat(F32, at) : type == F16 ? loadFloat(F16, at) : loadFloat(BF16, at);
        const scaled = nearest(value * inverse);
        code = scaled >= 1 ? 2 : scaled <= -1 ? 0 : 1;
      }
      store<u8>(temp + c, code);
    }
    packTernaryRow(weights, padded, placeOfRow(firstRow + i, headDim), temp);
    source += <usize>columns * floatBytes(type);
  }
}
