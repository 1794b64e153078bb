/** A range that holds the true value with 95 % confidence. */
export type Interval = [low: number, high: number];

/** The 97.5 % point of the normal distribution: 95 % lie between − and + this. */
export const Z95 = 1.959963984540054;

/**
 * Wilson's score interval of a share, 95 %. Unlike p ± z·σ it stays inside 0 … 1 and is right for few examples.
 * Without examples everything is possible: [0, 1].
 * @see Wilson 1927, "Probable inference, the law of succession, and statistical inference"
 */
export function wilsonInterval(successes: number, n: number, z = Z95): Interval {
  if (n === 0) return [0, 1];
  const p = successes / n;
  const z2 = (z * z) / n;
  const centre = (p + z2 / 2) / (1 + z2);
  const half = (z / (1 + z2)) * Math.sqrt((p * (1 - p)) / n + z2 / (4 * n));
  return [successes === 0 ? 0 : centre - half, successes === n ? 1 : centre + half];
}
