// What the sampling kernels make of numbers that are none: NaN and −∞ can never be chosen and weigh nothing, +∞ counts
// as the largest finite number.

/** The value as a weightable number: NaN → −∞, +∞ → the largest finite f32. */
// @ts-ignore: decorator
@inline
export function clean(v: f32): f32 {
  return v == v ? min<f32>(v, f32.MAX_VALUE) : -Infinity;
}

/** `clean` on four lanes. */
// @ts-ignore: decorator
@inline
export function cleanX4(v: v128): v128 {
  const numbers = v128.bitselect(v, f32x4.splat(-Infinity), f32x4.eq(v, v));
  return f32x4.pmin(f32x4.splat(f32.MAX_VALUE), numbers);
}

/** NaN with the bits 0x7fc00000, whatever the engine's arithmetic made of it. */
// @ts-ignore: decorator
@inline
export function canonical(v: f32): f32 {
  return v == v ? v : reinterpret<f32>(0x7fc00000);
}
