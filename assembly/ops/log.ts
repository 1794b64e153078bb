/**
 * ln x for finite x > 0 that is not subnormal, within 1 ulp: x = 2^k · m with √½ ≤ m < √2, s = (m − 1) / (m + 1),
 * ln m = 2s + s·R(s²). Plain arithmetic in a fixed order: the same bits on every engine.
 * Coefficients of fdlibm's e_log.c (Sun Microsystems, freely granted).
 */
// @ts-ignore: decorator
@inline
export function logF64(x: f64): f64 {
  const bits = reinterpret<i64>(x);
  // Adding this before the shift moves the cut between exponents from 1 to √½.
  const k = <i32>((bits + 0x00095f6400000000) >> 52) - 1023;
  const m = reinterpret<f64>(bits - ((<i64>k) << 52));
  const f = m - 1.0;
  const s = f / (2.0 + f);
  const z = s * s;
  const w = z * z;
  const even = w * (0.3999999999940941908 + w * (0.2222219843214978396 + w * 0.1531383769920937332));
  const odd =
    z * (0.6666666666666735130 + w * (0.2857142874366239149 + w * (0.1818357216161805012 + w * 0.1479819860511658591)));
  const half = 0.5 * f * f;
  const n = <f64>k;
  return n * 6.93147180369123816490e-01 - (half - (s * (half + (even + odd)) + n * 1.90821492927058770002e-10) - f);
}
