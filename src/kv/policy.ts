import type { CalibratedHead } from "./calibration.js";

/** How far keys are chosen by their leading elements. */
export interface SelectPolicy {
  /** The option it was made from. */
  slope: number;
  /** Leading elements. */
  lead: number;
  /** Standard deviations of the rest of a score that are added to the margin. */
  deviations: number;
  /** Per layer and KV head: margin τ in logits, and of the elements after the leading ones mean and covariance of score-basis keys. */
  slots: readonly { margin: number; mean: ArrayLike<number>; covariance: ArrayLike<number> }[];
}

/** What a cache keeps of its keys and which of them a query takes whole: options with defaults, checked against the model. */
export interface CachePolicy {
  delta: boolean;
  grain: 0 | 1 | 2;
  basis: "raw" | "score";
  /** Keys are kept on the calibrated grid of the basis instead of one scale per key. */
  grid: readonly CalibratedHead[] | undefined;
  /** θ per layer and KV head. */
  thresholds: number[];
  /** First key of the window of a query at each position; never falls. */
  windowStart(position: number): number;
  sink: number;
  valueCutoff: number;
  /** Selective scoring; needs the score basis. */
  select: SelectPolicy | undefined;
}
