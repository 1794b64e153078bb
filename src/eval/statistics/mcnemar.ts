/**
 * Exact McNemar test for two systems on the same examples.
 * @param onlyFirst examples only the first got right
 * @param onlySecond examples only the second got right
 * @returns two-sided p: how likely so lopsided a split is if both are equally good (a fair coin for each example)
 * @see McNemar 1947, "Note on the sampling error of the difference between correlated proportions"
 */
export function mcnemarExact(onlyFirst: number, onlySecond: number): number {
  const n = onlyFirst + onlySecond;
  const fewer = Math.min(onlyFirst, onlySecond);
  // Logarithms, because 2⁻ⁿ is 0 in floating point from n = 1075 on.
  let logTerm = -n * Math.LN2;
  let tail = 0;
  for (let i = 0; i <= fewer; i++) {
    tail += Math.exp(logTerm);
    logTerm += Math.log((n - i) / (i + 1));
  }
  return Math.min(1, 2 * tail);
}
