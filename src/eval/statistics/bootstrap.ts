import { createRandom } from "./random.js";
import type { Interval } from "./wilson.js";

export interface BootstrapOptions {
  /** Default 2000. */
  resamples?: number | undefined;
  /** The same seed gives the same interval. Default 0. */
  seed?: number | undefined;
}

/**
 * 95 % percentile bootstrap of Σ numerators / Σ denominators; rows are drawn with replacement. A mean has denominators
 * of 1. `undefined` when there are no rows.
 * @see Efron 1979, "Bootstrap methods: another look at the jackknife"
 */
export function bootstrapRatio(
  numerators: readonly number[],
  denominators: readonly number[],
  { resamples = 2000, seed = 0 }: BootstrapOptions = {},
): Interval | undefined {
  const n = numerators.length;
  if (n === 0) return undefined;
  const random = createRandom(seed);
  const ratios = new Float64Array(resamples);
  for (let i = 0; i < resamples; i++) {
    let above = 0;
    let below = 0;
    for (let k = 0; k < n; k++) {
      const row = Math.floor(random() * n);
      above += numerators[row] as number;
      below += denominators[row] as number;
    }
    ratios[i] = above / below;
  }
  ratios.sort();
  return [quantile(ratios, 0.025), quantile(ratios, 0.975)];
}

/** The same for a mean. */
export function bootstrapMean(values: readonly number[], options?: BootstrapOptions): Interval | undefined {
  return bootstrapRatio(values, new Array<number>(values.length).fill(1), options);
}

/** Between the two nearest of the sorted values, as far as the share says. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const at = (sorted.length - 1) * share;
  const low = Math.floor(at);
  const below = sorted[low] as number;
  const above = sorted[Math.min(low + 1, sorted.length - 1)] as number;
  return below + (above - below) * (at - low);
}
