import { expF32x4 } from "./exp";

/**
 * tanh x for f32: 1 − 2 / (e^2|x| + 1) with the sign of x from |x| = 0.625 on, an odd polynomial below, where that would
 * cancel. Plain arithmetic in a fixed order: the same bits on every engine. Error below 3 ulp.
 * Cephes `tanhf` coefficients (S. Moshier, public domain).
 */
// @ts-ignore: decorator
@inline
export function tanhF32x4(x: v128): v128 {
  const size = f32x4.abs(x);
  const sign = v128.and(x, i32x4.splat(1 << 31));
  const power = expF32x4(f32x4.add(size, size));
  const large = f32x4.sub(f32x4.splat(1.0), f32x4.div(f32x4.splat(2.0), f32x4.add(power, f32x4.splat(1.0))));
  const square = f32x4.mul(x, x);
  let p = f32x4.splat(-5.70498872745e-3);
  p = f32x4.add(f32x4.mul(p, square), f32x4.splat(2.06390887954e-2));
  p = f32x4.add(f32x4.mul(p, square), f32x4.splat(-5.37397155531e-2));
  p = f32x4.add(f32x4.mul(p, square), f32x4.splat(1.33314422036e-1));
  p = f32x4.add(f32x4.mul(p, square), f32x4.splat(-3.33332819422e-1));
  const small = f32x4.add(f32x4.mul(f32x4.mul(p, square), x), x);
  return v128.bitselect(small, v128.or(large, sign), f32x4.lt(size, f32x4.splat(0.625)));
}

/**
 * x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³))), written x / (1 + e^−2u), which is the same and does not cancel; u is the
 * argument of tanh. Hendrycks and Gimpel 2016, arXiv 1606.08415.
 */
// @ts-ignore: decorator
@inline
export function geluF32x4(x: v128): v128 {
  const square = f32x4.mul(x, x);
  // −2·√(2/π) and that times 0.044715.
  const factor = f32x4.add(f32x4.splat(-1.5957691216057308), f32x4.mul(square, f32x4.splat(-0.07135481627159625)));
  return f32x4.div(x, f32x4.add(f32x4.splat(1.0), expF32x4(f32x4.mul(factor, x))));
}
