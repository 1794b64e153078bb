import type { CalibratedHead } from "../calibration/calibration.js";

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
}
