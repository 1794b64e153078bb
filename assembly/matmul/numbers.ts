// Number formats: half and brain floats as f32, all exact.

/** Four f16 in the low halves of i32 lanes → f32. Infinities and NaN are not handled: for scales, which are finite. */
// @ts-ignore: decorator
@inline
export function scalesFromF16(bits: v128): v128 {
  const magnitude = f32x4.mul(
    i32x4.shl(v128.and(bits, i32x4.splat(0x7fff)), 13),
    i32x4.splat(0x77800000), // 2^112: moves the exponent from bias 15 to bias 127, subnormals included
  );
  return v128.or(magnitude, i32x4.shl(v128.and(bits, i32x4.splat(0x8000)), 16));
}

/** Four f16 in the low halves of i32 lanes → f32, every value. */
// @ts-ignore: decorator
@inline
export function floatsFromF16(bits: v128): v128 {
  const special = i32x4.gt_s(v128.and(bits, i32x4.splat(0x7fff)), i32x4.splat(0x7bff));
  return v128.or(scalesFromF16(bits), v128.and(special, i32x4.splat(0x7f800000)));
}

// @ts-ignore: decorator
@inline
export function floatFromF16(bits: u32): f32 {
  return f32x4.extract_lane(floatsFromF16(i32x4.splat(bits)), 0);
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
  if (type == F16) return floatsFromF16(v128.load16x4_u(from));
  return i32x4.shl(v128.load16x4_u(from), 16);
}

// @ts-ignore: decorator
@inline
export function loadFloat(type: i32, from: usize): f32 {
  if (type == F32) return load<f32>(from);
  if (type == F16) return floatFromF16(load<u16>(from));
  return reinterpret<f32>(<u32>load<u16>(from) << 16);
}
