import { quantile } from "#src/eval/statistics/bootstrap.js";
import { createRandom } from "#src/eval/statistics/random.js";

/** Median and quartiles; the ends too. */
export interface Spread {
  least: number;
  q1: number;
  median: number;
  q3: number;
  most: number;
}

/** Order statistics of at least one number. */
export function spread(samples: readonly number[]): Spread {
  const sorted = Float64Array.from(samples).sort();
  const at = (share: number) => quantile(sorted, share);
  return { least: at(0), q1: at(0.25), median: at(0.5), q3: at(0.75), most: at(1) };
}

/** The spread of a[i] / b[i]: for rounds measured in pairs, where a slow moment of the machine hits both. */
export function pairedRatio(a: readonly number[], b: readonly number[]): Spread {
  return spread(a.slice(0, b.length).map((x, i) => x / (b[i] as number)));
}

/**
 * Mann–Whitney U test, two-sided and exact, ties included: the probability that two samples of these sizes from one
 * distribution differ in their rank sums at least this much. Counts all ways to share out the ranks.
 * @see Mann and Whitney 1947, "On a test of whether one of two random variables is stochastically larger than the other"
 */
export function mannWhitney(a: readonly number[], b: readonly number[]): number {
  if (a.length === 0 || b.length === 0) return 1;
  const all = [...a.map((x) => ({ x, a: true })), ...b.map((x) => ({ x, a: false }))].sort((p, q) => p.x - q.x);
  // Doubled ranks are whole numbers even where ties share the mean of theirs.
  const ranks: number[] = [];
  for (let from = 0; from < all.length; ) {
    let to = from;
    while (to < all.length && all[to]?.x === all[from]?.x) to++;
    for (let i = from; i < to; i++) ranks[i] = from + to + 1;
    from = to;
  }
  const observed = ranks.reduce((sum, rank, i) => sum + (all[i]?.a ? rank : 0), 0);
  const total = ranks.reduce((sum, rank) => sum + rank, 0);
  const ways = Array.from({ length: a.length + 1 }, () => new Float64Array(total + 1));
  (ways[0] as Float64Array)[0] = 1;
  ranks.forEach((rank, seen) => {
    for (let count = Math.min(seen + 1, a.length); count > 0; count--) {
      const [to, from] = [ways[count] as Float64Array, ways[count - 1] as Float64Array];
      for (let sum = total; sum >= rank; sum--) (to[sum] as number) += from[sum - rank] as number;
    }
  });
  const sums = ways[a.length] as Float64Array;
  const expected = (total * a.length) / all.length;
  const distance = Math.abs(observed - expected) - 1e-9;
  let [far, every] = [0, 0];
  sums.forEach((count, sum) => {
    every += count;
    if (Math.abs(sum - expected) >= distance) far += count;
  });
  return far / every;
}

/** median(b) / median(a) with its 95 % percentile bootstrap interval; the same samples give the same interval. */
export function medianRatio(
  a: readonly number[],
  b: readonly number[],
  resamples = 2000,
): { ratio: number; low: number; high: number } {
  const random = createRandom(1);
  const median = (list: ArrayLike<number>) => quantile(Float64Array.from(list).sort(), 0.5);
  const draw = (list: readonly number[]) =>
    Float64Array.from(list, () => list[Math.floor(random() * list.length)] as number);
  const ratios = Float64Array.from({ length: resamples }, () => median(draw(b)) / median(draw(a))).sort();
  return { ratio: median(b) / median(a), low: quantile(ratios, 0.025), high: quantile(ratios, 0.975) };
}
