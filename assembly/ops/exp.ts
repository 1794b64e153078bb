/**
 * e^x for f32, by range reduction x = n·ln 2 + r, |r| ≤ ln 2 / 2, and a polynomial of degree 6 on r.
 * Plain multiplications and additions in a fixed order: the same bits on every engine. Error below 2 ulp on
 * [−87, 88]; inputs are clamped to that range, so results are never 0, subnormal or infinite.
 * Cephes `expf` coefficients (S. Moshier, public domain).
 */
// @ts-ignore: decorator
@inline
export function expF32x4(value: v128): v128 {
  return expWith(
    value,
    f32x4.splat(-87.0),
    f32x4.splat(88.0),
    f32x4.splat(1.44269504088896341),
    f32x4.splat(0.693359375),
    f32x4.splat(-2.12194440e-4),
    f32x4.splat(1.9875691500e-4),
    f32x4.splat(1.3981999507e-3),
    f32x4.splat(8.3334519073e-3),
    f32x4.splat(4.1665795894e-2),
    f32x4.splat(1.6666665459e-1),
    f32x4.splat(5.0000001201e-1),
    f32x4.splat(1.0),
    f32x4.splat(12582912.0),
    i32x4.splat(127 << 23),
  );
}

/** The same with its constants given: loops keep them in registers (opaque.ts). */
// @ts-ignore: decorator
@inline
export function expWith(
  value: v128, least: v128, greatest: v128, log2e: v128, ln2High: v128, ln2Low: v128,
  c6: v128, c5: v128, c4: v128, c3: v128, c2: v128, c1: v128,
  one: v128, magic: v128, bias: v128,
): v128 {
  const x = f32x4.pmax(least, f32x4.pmin(greatest, value));
  const n = f32x4.nearest(f32x4.mul(x, log2e));
  let r = f32x4.sub(x, f32x4.mul(n, ln2High));
  r = f32x4.sub(r, f32x4.mul(n, ln2Low));
  let p = c6;
  p = f32x4.add(f32x4.mul(p, r), c5);
  p = f32x4.add(f32x4.mul(p, r), c4);
  p = f32x4.add(f32x4.mul(p, r), c3);
  p = f32x4.add(f32x4.mul(p, r), c2);
  p = f32x4.add(f32x4.mul(p, r), c1);
  p = f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(p, r), r), r), one);
  // n + 1.5·2²³ has the integer n in its low bits: cheaper than a saturating conversion.
  const power = i32x4.add(i32x4.shl(f32x4.add(n, magic), 23), bias);
  return f32x4.mul(p, power);
}

/** One number; the same bits as a lane of `expF32x4`. */
// @ts-ignore: decorator
@inline
export function expF32(x: f32): f32 {
  return f32x4.extract_lane(expF32x4(f32x4.splat(x)), 0);
}
