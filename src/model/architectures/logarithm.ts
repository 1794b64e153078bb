/**
 * ln x for finite x > 0, by + − × ÷ in a fixed order: what it decides reaches the RoPE table, and `Math.log` has other bits
 * on other engines. x = 2ⁿ·m with √½ ≤ m < √2, then the series of artanh.
 */
export function naturalLogarithm(x: number): number {
  let n = 0;
  let m = x;
  for (; m >= Math.SQRT2; m /= 2) n++;
  for (; m < Math.SQRT1_2; m *= 2) n--;
  const z = (m - 1) / (m + 1);
  const square = z * z;
  let sum = 0;
  for (let k = 27; k > 0; k -= 2) sum = sum * square + 1 / k;
  return n * Math.LN2 + 2 * z * sum;
}
