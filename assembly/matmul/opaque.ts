/**
 * Always 0, but no compiler knows: an exported variable. Vector constants built from it stay in registers, while V8
 * rebuilds a constant that it can see, with three instructions, in every round of a loop.
 */
export let hidden_zero: i32 = 0;

/** 16 bytes of `value`. */
// @ts-ignore: decorator
@inline
export function hiddenBytes(value: i32): v128 {
  return i8x16.splat(<i8>(value + hidden_zero));
}

/** Eight 16-bit lanes of `value`. */
// @ts-ignore: decorator
@inline
export function hiddenShorts(value: i32): v128 {
  return i16x8.splat(<i16>(value + hidden_zero));
}

/** Four 32-bit lanes of `value`. */
// @ts-ignore: decorator
@inline
export function hiddenWords(value: i32): v128 {
  return i32x4.splat(value + hidden_zero);
}

/** Four lanes of `value`, which is not 0. */
// @ts-ignore: decorator
@inline
export function hiddenFloats(value: f32): v128 {
  return f32x4.splat(value + <f32>hidden_zero);
}
