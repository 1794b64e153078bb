// F32, F16 and BF16 matrices into their layouts. `source`: rows `firstRow …` of the file, row-major; `temp`: scratch.
// Kernels that convert return −1, or the offset from `source` of the first block with a number that is not finite.
import { Repack } from "../../abi/repack";
import { packNibbles, packQ6Block, packQ8Block, packTernaryRow, placeOfRow, quantiseBlock, ROUNDER } from "./pack";
import {
  BF16, F16, F16_FACTOR, F16_MASK, F16_TOP, F32, floatBytes, floatsFromF16With, f16FromFloat, loadFloat, loadFloats,
  scalesFromF16With,
} from "../numbers";
import { hiddenBytes, hiddenShorts, hiddenWords } from "../opaque";

/** Layouts `f32` (size 4) and `f16`, `bf16` (size 2): only the order changes. */
export function repack_float(job: Repack): i32 {
  const weights = job.weights;
  let source = job.source;
  const rows = job.rows;
  const columns = job.columns;
  const firstRow = job.firstRow;
  const headDim = job.headDim;
  const size = floatBytes(job.type);
  for (let i = 0; i < rows; i++) {
    const row = placeOfRow(firstRow + i, headDim);
    let to = weights + (<usize>(row >> 3) * columns * 8 + (row & 7)) * size;
    if (size == 4) {
      for (let c = 0; c < columns; c++, source += 4, to += 32) store<u32>(to, load<u32>(source));
    } else {
      for (let c = 0; c < columns; c++, source += 2, to += 16) store<u16>(to, load<u16>(source));
    }
  }
  return -1;
}

/** 32 numbers of a row from column `c`, zeros behind its end, as f32 to `to`. */
// @ts-ignore: decorator
@inline
function loadBlock(type: i32, to: usize, source: usize, c: i32, columns: i32, mask: v128, factor: v128, top: v128, infinity: v128): void {
  const size = floatBytes(type);
  if (c + 32 <= columns) {
    for (let i = 0; i < 32; i += 4) {
      const from = source + <usize>(c + i) * size;
      v128.store(
        to + (i << 2),
        type == F16 ? floatsFromF16With(v128.load16x4_s(from), mask, factor, top, infinity) : loadFloats(type, from),
      );
    }
  } else {
    for (let i = 0; i < 32; i++)
      store<f32>(to + (i << 2), c + i < columns ? loadFloat(type, source + <usize>(c + i) * size) : 0);
  }
}

/** Eight 16-bit floats times `inverse`, rounded half to even; for results below 2^22. */
// @ts-ignore: decorator
@inline
function roundEight(type: i32, from: usize, mask: v128, factor: v128, inverse: v128, rounder: v128): v128 {
  let a: v128;
  let b: v128;
  if (type == F16) {
    a = scalesFromF16With(v128.load16x4_s(from), mask, factor);
    b = scalesFromF16With(v128.load16x4_s(from, 8), mask, factor);
  } else {
    a = i32x4.shl(v128.load16x4_u(from), 16);
    b = i32x4.shl(v128.load16x4_u(from, 8), 16);
  }
  return i16x8.narrow_i32x4_s(
    i32x4.sub(f32x4.add(f32x4.mul(a, inverse), rounder), rounder),
    i32x4.sub(f32x4.add(f32x4.mul(b, inverse), rounder), rounder),
  );
}

/**
 * The same as `quantiseBlock` to 8 bits, from 32 16-bit floats, without a stop in memory. Returns the bits of d, −1 if a
 * number is not finite, −2 if d would not fit (the long way handles that).
 */
// @ts-ignore: decorator
@inline
function quantiseShort(
  type: i32, from: usize, codes: usize, mask: v128, factor: v128, rounder: v128, magnitude: v128, least: v128,
): i32 {
  // Magnitudes are ordered like their bits.
  let top = i16x8.max_u(
    i16x8.max_u(v128.and(v128.load(from), magnitude), v128.and(v128.load(from, 16), magnitude)),
    i16x8.max_u(v128.and(v128.load(from, 32), magnitude), v128.and(v128.load(from, 48), magnitude)),
  );
  top = i16x8.max_u(top, v128.shuffle<i64>(top, top, 1, 0));
  top = i16x8.max_u(top, v128.shuffle<i32>(top, top, 1, 0, 3, 2));
  const bits: u32 = max<u32>(i16x8.extract_lane_u(top, 0), i16x8.extract_lane_u(top, 1));
  if (bits >= <u32>(type == F16 ? 0x7c00 : 0x7f80)) return -1;
  const largest: f32 =
    type == F16 ? reinterpret<f32>(bits << 13) * reinterpret<f32>(F16_FACTOR) : reinterpret<f32>(bits << 16);
  const wanted: f32 = largest / 127;
  if (wanted > 65504) return -2;
  const d = f16FromFloat(wanted);
  const scale = reinterpret<f32>(d << 13) * reinterpret<f32>(F16_FACTOR);
  const inverse = f32x4.splat(scale == 0 ? 0 : <f32>1 / scale);
  const a = roundEight(type, from, mask, factor, inverse, rounder);
  const b = roundEight(type, from + 16, mask, factor, inverse, rounder);
  const c = roundEight(type, from + 32, mask, factor, inverse, rounder);
  const e = roundEight(type, from + 48, mask, factor, inverse, rounder);
  v128.store(codes, i8x16.max_s(i8x16.narrow_i16x8_s(a, b), least));
  v128.store(codes, i8x16.max_s(i8x16.narrow_i16x8_s(c, e), least), 16);
  return d;
}

/** One row to `q8`, `q6` or `q4`, of which `block` is the first block. Returns −1, or the bad column. */
// @ts-ignore: decorator
@inline
function convertRow(type: i32, block: usize, lane: i32, source: usize, columns: i32, bits: i32, temp: usize): i32 {
  const mask = hiddenWords(F16_MASK);
  const factor = hiddenWords(F16_FACTOR);
  const top = hiddenWords(F16_TOP);
  const infinity = hiddenWords(0x7f800000);
  const magnitude = hiddenWords(0x7fffffff);
  const rounder = hiddenWords(ROUNDER);
  const limit: f32 = bits == 8 ? 127 : bits == 6 ? 31 : 7;
  const shortMagnitude = hiddenShorts(0x7fff);
  const least = hiddenBytes(-127);
  for (let c = 0; c < columns; c += 32) {
    if (bits == 8 && type != F32 && c + 32 <= columns) {
      const from = source + ((<usize>c) << 1);
      const d = quantiseShort(type, from, temp, mask, factor, rounder, shortMagnitude, least);
      if (d == -1) return c;
      if (d >= 0) {
        packQ8Block(block, lane, d, temp);
        block += 272;
        continue;
      }
    }
    loadBlock(type, temp, source, c, columns, mask, factor, top, infinity);
    const d = quantiseBlock(temp, temp + 128, limit, magnitude, rounder);
    if (d < 0) return c;
    if (bits == 8) {
      packQ8Block(block, lane, d, temp + 128);
      block += 272;
    } else if (bits == 6) {
      const bias = i8x16.splat(32);
      v128.store(temp, i8x16.add(v128.load(temp, 128), bias), 128);
      v128.store(temp, i8x16.add(v128.load(temp, 144), bias), 144);
      packQ6Block(block, lane, d, 1, 1, temp + 128);
      block += 224;
    } else {
      const low = i8x16.add(v128.load(temp, 128), i8x16.splat(8));
      const high = i8x16.add(v128.load(temp, 144), i8x16.splat(8));
      v128.store(temp, v128.or(low, i16x8.shl(high, 4)), 128);
      store<u16>(block + (lane << 1), d);
      packNibbles(block + 16, lane, temp + 128);
      block += 144;
    }
  }
  return -1;
}

// @ts-ignore: decorator
@inline
function convert(job: Repack, bits: i32): i32 {
  const weights = job.weights;
  const source = job.source;
  const rows = job.rows;
  const columns = job.columns;
  const firstRow = job.firstRow;
  const headDim = job.headDim;
  const type = job.type;
  const temp = job.temp;
  const groupBytes = <usize>((columns + 31) >> 5) * (bits == 8 ? 272 : bits == 6 ? 224 : 144);
  const rowBytes = columns * floatBytes(type);
  for (let i = 0; i < rows; i++) {
    const row = placeOfRow(firstRow + i, headDim);
    const block = weights + <usize>(row >> 3) * groupBytes;
    const from = source + <usize>i * rowBytes;
    const bad =
      type == F32
        ? convertRow(F32, block, row & 7, from, columns, bits, temp)
        : type == F16
          ? convertRow(F16, block, row & 7, from, columns, bits, temp)
          : convertRow(BF16, block, row & 7, from, columns, bits, temp);
    if (bad >= 0) return i * rowBytes + bad * floatBytes(type);
  }
  return -1;
}

/** To layout `q8`: d = f16(max|x| / 127) per 32 columns. */
export function repack_float_q8(job: Repack): i32 {
  return convert(job, 8);
}

/** To layout `q6`: d = f16(max|x| / 31) per 32 columns, codes 1 … 63. */
export function repack_float_q6(job: Repack): i32 {
  return convert(job, 6);
}

/** To layout `q4`: d = f16(max|x| / 7) per 32 columns, codes 1 … 15. */
export function repack_float_q4(job: Repack): i32 {
  return convert(job, 4);
}

// @ts-ignore: decorator
@inline
function sumRow(type: i32, source: usize, columns: i32): f64 {
  let even = f64x2.splat(0);
  let odd = f64x2.splat(0);
  let c = 0;
  for (; c + 4 <= columns; c += 4) {
    const four = f32x4.abs(loadFloats(type, source + <usize>c * floatBytes(type)));
    even = f64x2.add(even, f64x2.promote_low_f32x4(four));
    odd = f64x2.add(odd, f64x2.promote_low_f32x4(v128.shuffle<i32>(four, four, 2, 3, 2, 3)));
  }
  const both = f64x2.add(even, odd);
  let sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
  for (; c < columns; c++) sum += <f64>abs(loadFloat(type, source + <usize>c * floatBytes(type)));
  return sum;
}

/**
 * `before` + Σ|W| in f64, row by row; in a row four sums by column mod 4, joined as (0 + 2) + (1 + 3), then the columns
 * beyond a multiple of 4. For the absolute mean of a master matrix; chunks of whole rows do not change its bits.
 */
export function sum_magnitudes(source: usize, rows: i32, columns: i32, type: i32, before: f64): f64 {
  for (let i = 0; i < rows; i++, source += <usize>columns * floatBytes(type))
    before +=
      type == F32
        ? sumRow(F32, source, columns)
        : type == F16
          ? sumRow(F16, source, columns)
          : sumRow(BF16, source, columns);
  return before;
}

/** Codes of one row: 1 + (W · inverse > ½) − (W · inverse < −½), which is what rounding half to even and clamping give. */
// @ts-ignore: decorator
@inline
function ternaryRow(type: i32, to: usize, source: usize, columns: i32, inverse: f32): void {
  const factor = f32x4.splat(inverse);
  const half = f32x4.splat(0.5);
  const minusHalf = f32x4.splat(-0.5);
  const one = i32x4.splat(1);
  let c = 0;
  for (; c + 4 <= columns; c += 4) {
    const scaled = f32x4.mul(loadFloats(type, source + <usize>c * floatBytes(type)), factor);
    const code = i32x4.add(i32x4.sub(one, f32x4.gt(scaled, half)), f32x4.lt(scaled, minusHalf));
    const narrow = i16x8.narrow_i32x4_s(code, code);
    v128.store32_lane(to + c, i8x16.narrow_i16x8_s(narrow, narrow), 0);
  }
  for (; c < columns; c++) {
    const scaled = loadFloat(type, source + <usize>c * floatBytes(type)) * inverse;
    store<u8>(to + c, scaled > 0.5 ? 2 : scaled < -0.5 ? 0 : 1);
  }
}

/** To layout `ternary`: code = clamp(round_half_even(W · inverse), −1, 1) + 1; `temp`: padded bytes. */
export function repack_float_ternary(job: Repack): i32 {
  const weights = job.weights;
  let source = job.source;
  const rows = job.rows;
  const columns = job.columns;
  const firstRow = job.firstRow;
  const headDim = job.headDim;
  const type = job.type;
  const inverse = job.inverse;
  const temp = job.temp;
  const padded = (columns + 31) & ~31;
  for (let c = columns; c < padded; c++) store<u8>(temp + c, 1);
  for (let i = 0; i < rows; i++) {
    if (type == F32) ternaryRow(F32, temp, source, columns, inverse);
    else if (type == F16) ternaryRow(F16, temp, source, columns, inverse);
    else ternaryRow(BF16, temp, source, columns, inverse);
    packTernaryRow(weights, padded, placeOfRow(firstRow + i, headDim), temp);
    source += <usize>columns * floatBytes(type);
  }
  return -1;
}
