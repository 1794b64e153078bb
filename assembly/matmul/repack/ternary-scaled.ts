// Ternary files with a scale per 256 columns: TQ1_0 and TQ2_0 to layout `ternary`.
import { Repack } from "../../abi/repack";
import { scaleOf } from "../layouts/ternary-blocks";
import { floatFromF16 } from "../numbers";
import { hiddenBytes } from "../opaque";
import { packTernaryRow, placeOfRow } from "./pack";
import { code3, lanesOf, transposeFields, unitsOfRow } from "./transpose";

/** Writes a block's scale; a block of scale 0 has only zeros, whatever its codes. */
// @ts-ignore: decorator
@inline
function putScale(blockScales: usize, row: i32, blocks: i32, b: i32, d: f32, codes: usize): void {
  store<f32>(scaleOf(blockScales, row, blocks, b), d);
  if (d == 0) memory.fill(codes, 1, 256);
}

/** TQ2_0: codes and, to `blockScales` (ternary-blocks.ts), the scales. Code 3 or an infinite scale is an error. */
export function repack_tq2_0(job: Repack): i32 {
  const weights = job.weights;
  let source = job.source;
  const rows = job.rows;
  const columns = job.columns;
  const firstRow = job.firstRow;
  const headDim = job.headDim;
  const blockScales = job.blockScales;
  const start = source;
  const blocks = columns >> 8;
  const nibbles = lanesOf(0x0f0f0f0f, 0x0f0f0f0f, 0xf0f0f0f0, 0xf0f0f0f0);
  const firstTwo = lanesOf(-1, -1, 0, 0);
  const twos = lanesOf(0x33333333, 0xcccccccc, 0x33333333, 0xcccccccc);
  const even = lanesOf(-1, 0, -1, 0);
  const low = hiddenBytes(0x55);
  for (let i = 0; i < rows; i++) {
    const row = placeOfRow(firstRow + i, headDim);
    let to = unitsOfRow(weights, columns, row);
    for (let b = 0; b < blocks; b++, source += 66) {
      const d = floatFromF16(load<u16>(source, 64));
      store<f32>(scaleOf(blockScales, row, blocks, b), d);
      let bad = i8x16.splat(0);
      for (let half: usize = 0; half < 64; half += 32, to += 256) {
        for (let part: usize = 0; part < 32; part += 16) {
          const v = v128.load(source + half + part);
          bad = v128.or(bad, code3(v, low));
          // A block of scale 0 has only zeros, whatever its codes.
          const units = d == 0 ? low : transposeFields(v, nibbles, firstTwo, twos, even);
          const at = to + (part << 1);
          v128.store32_lane(at, units, 0);
          v128.store32_lane(at, units, 1, 64);
          v128.store32_lane(at, units, 2, 128);
          v128.store32_lane(at, units, 3, 192);
        }
      }
      if (v128.any_true(bad) || !(abs(d) < Infinity)) return <i32>(source - start);
    }
  }
  return -1;
}

/** TQ1_0: five trits per byte, the most significant first. Results as `repack_tq2_0`. */
export function repack_tq1_0(job: Repack): i32 {
  const weights = job.weights;
  let source = job.source;
  const rows = job.rows;
  const columns = job.columns;
  const firstRow = job.firstRow;
  const headDim = job.headDim;
  const blockScales = job.blockScales;
  const temp = job.temp;
  const start = source;
  const blocks = columns >> 8;
  for (let i = 0; i < rows; i++) {
    const row = placeOfRow(firstRow + i, headDim);
    for (let b = 0; b < blocks; b++, source += 54) {
      const codes = temp + (b << 8);
      const d = floatFromF16(load<u16>(source, 52));
      if (!(abs(d) < Infinity)) return <i32>(source - start);
      trits(codes, 32, source);
      trits(codes + 16, 32, source + 16);
      trits(codes + 160, 16, source + 32);
      let e = 240;
      for (let power = 1; power < 81; power *= 3)
        for (let m = 48; m < 52; m++) store<u8>(codes + e++, trit(source + m, power));
      putScale(blockScales, row, blocks, b, d, codes);
    }
    packTernaryRow(weights, columns, row, temp);
  }
  return -1;
}

/** The five trits of 16 bytes, `stride` apart: each time three times the fraction, whose whole part is the trit. */
// @ts-ignore: decorator
@inline
function trits(to: usize, stride: usize, from: usize): void {
  const bytes = v128.load(from);
  const three = i16x8.splat(3);
  const fraction = i16x8.splat(255);
  let low = i16x8.extend_low_i8x16_u(bytes);
  let high = i16x8.extend_high_i8x16_u(bytes);
  for (let n = 0; n < 5; n++, to += stride) {
    low = i16x8.mul(low, three);
    high = i16x8.mul(high, three);
    v128.store(to, i8x16.narrow_i16x8_u(i16x8.shr_u(low, 8), i16x8.shr_u(high, 8)));
    low = v128.and(low, fraction);
    high = v128.and(high, fraction);
  }
}

// @ts-ignore: decorator
@inline
function trit(from: usize, power: i32): i32 {
  return (((<i32>load<u8>(from) * power) & 255) * 3) >> 8;
}

/**
 * Whether all scales that are not 0 are equal: 1 if so. Then `scales[0]` of the area is set to that scale (0 if there is none).
 */
export function same_scales(scales: usize, count: i32): bool {
  let common: f32 = 0;
  for (let i = 0; i < count; i++) {
    const scale = load<f32>(scales + ((<usize>i) << 2));
    if (scale == 0) continue;
    if (common == 0) common = scale;
    else if (scale != common) return false;
  }
  store<f32>(scales, common);
  return true;
}
