// Number formats: half and brain floats as f32, all exact.

/** Drops the copies of the sign between the sign and the exponent of a shifted f16. */
export const F16_MASK: i32 = 0x8fffffff;
/** The upper half of F16_MASK. */
export const F16_MASK_UPPER: i32 = 0x8fff;
/** 2^112 as f32: moves the exponent from bias 15 to bias 127. */
export const F16_FACTOR: i32 = 0x77800000;
/** The exponent of infinities and NaN after the shift. */
export const F16_TOP: i32 = 0x0f800000;

/** Four sign-extended f16 (`v128.load16x4_s`) → f32. Infinities and NaN are not handled: for scales, which are finite. */
// @ts-ignore: decorator
@inline
export function scalesFromF16(bits: v128): v128 {
  return scalesFromF16With(bits, i32x4.splat(F16_MASK), i32x4.splat(F16_FACTOR));
}

/** The same with its constants given, F16_MASK and F16_FACTOR: loops keep them in registers (opaque.ts). */
// @ts-ignore: decorator
@inline
export function scalesFromF16With(bits: v128, mask: v128, factor: v128): v128 {
  return f32x4.mul(v128.and(i32x4.shl(bits, 13), mask), factor);
}

/** The upper halves of the f32 bits of eight f16 as in `scalesFromF16`, before the factor. */
// @ts-ignore: decorator
@inline
function upperHalves(bits: v128, mask: v128): v128 {
  return v128.and(i16x8.shr_s(bits, 3), mask);
}

/** The first four of eight f16 as in `scalesFromF16`; `mask`: F16_MASK_UPPER, `factor`: F16_FACTOR. */
// @ts-ignore: decorator
@inline
export function firstScales(bits: v128, mask: v128, factor: v128): v128 {
  return f32x4.mul(v128.shuffle<i16>(i16x8.shl(bits, 13), upperHalves(bits, mask), 0, 8, 1, 9, 2, 10, 3, 11), factor);
}

/** The last four. */
// @ts-ignore: decorator
@inline
export function lastScales(bits: v128, mask: v128, factor: v128): v128 {
  return f32x4.mul(v128.shuffle<i16>(i16x8.shl(bits, 13), upperHalves(bits, mask), 4, 12, 5, 13, 6, 14, 7, 15), factor);
}

/** Four sign-extended f16 → f32, every value. */
// @ts-ignore: decorator
@inline
export function floatsFromF16(bits: v128): v128 {
  return floatsFromF16With(bits, i32x4.splat(F16_MASK), i32x4.splat(F16_FACTOR), i32x4.splat(F16_TOP), i32x4.splat(0x7f800000));
}

/** The same with its constants given: F16_MASK, F16_FACTOR, F16_TOP and the f32 infinity. */
// @ts-ignore: decorator
@inline
export function floatsFromF16With(bits: v128, mask: v128, factor: v128, top: v128, infinity: v128): v128 {
  const shifted = v128.and(i32x4.shl(bits, 13), mask);
  const special = i32x4.eq(v128.and(shifted, top), top);
  return v128.or(f32x4.mul(shifted, factor), v128.and(special, infinity));
}

// @ts-ignore: decorator
@inline
export function floatFromF16(bits: u32): f32 {
  return f32x4.extract_lane(floatsFromF16(i32x4.splat((<i32>bits << 16) >> 16)), 0);
}

/** Nearest f16, ties to even, for |x| < 65520. */
export function f16FromFloat(x: f32): u32 {
  const bits = reinterpret<u32>(x);
  const sign = (bits >> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude < 0x38800000) {
    // Subnormal: the addition aligns the last bit at 2^-24 and rounds.
    const shifted = reinterpret<f32>(magnitude) + <f32>0.5;
    return sign | (reinterpret<u32>(shifted) - 0x3f000000);
  }
  const rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
  return sign | ((rounded - 0x38000000) >> 13);
}

/** Type of stored floats. */
export const F32: i32 = 0;
export const F16: i32 = 1;
export const BF16: i32 = 2;

// @ts-ignore: decorator
@inline
export function floatBytes(type: i32): i32 {
  return type == F32 ? 4 : 2;
}

/** Four numbers at `from`. */
// @ts-ignore: decorator
@inline
export function loadFloats(type: i32, from: usize): v128 {
  if (type == F32) return v128.load(from);
  if (type == F16) return floatsFromF16(v128.load16x4_s(from));
  return i32x4.shl(v128.load16x4_u(from), 16);
}

// @ts-ignore: decorator
@inline
export function loadFloat(type: i32, from: usize): f32 {
  if (type == F32) return load<f32>(from);
  if (type == F16) return floatFromF16(load<u16>(from));
  return reinterpret<f32>(<u32>load<u16>(from) << 16);
}
