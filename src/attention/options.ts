import type { Calibration } from "../kv/calibration.js";

/** How attention is computed. Every field has a default; `{}` is full attention. */
export interface AttentionOptions {
  /** `full` (default): every key up to the query. `delta`: keys outside sink and window are kept as thresholded differences. */
  kind?: "full" | "delta" | undefined;
  /** Delta: what is compared with the threshold and kept or dropped as one: an element (default), 16 neighbouring elements, or a whole key. */
  grain?: "element" | "chunk" | "row" | undefined;
  /** The basis in which keys are kept and compared. `raw` (default): as the model makes them. `score`: calibrated, where a difference is an error of the attention logit; needs `calibration`. */
  basis?: "raw" | "score" | undefined;
  /** Delta: one threshold θ ≥ 0 for all layers, in units of key elements (`raw`) or of attention logits (`score`). Default 0: nothing is dropped. */
  threshold?: number | undefined;
  /** Delta: thresholds per layer, or per layer and KV head; instead of `threshold`. */
  thresholds?: readonly number[] | readonly (readonly number[])[] | undefined;
  /** Delta: share of differences to drop, 0 … 1; the thresholds are then looked up in `calibration`. */
  targetSparsity?: number | undefined;
  /** What `calibrate` measured for this model: ranges of the keys, thresholds and the score basis. */
  calibration?: Calibration | undefined;
  /** Delta: the local window as a share of the tokens up to the query. Default 0.05. */
  windowScale?: number | undefined;
  /** Delta: the smallest local window, in tokens. Default 64. */
  window?: number | undefined;
  /** Delta: `sliding` (default) windows end at the query; `block` windows start at a multiple of their size. */
  windowShape?: "sliding" | "block" | undefined;
  /** Delta: how many first tokens are always kept whole. Default 4. */
  sink?: number | undefined;
  /**
   * Selective scoring: far keys are scored by their leading elements first, and only those that can matter get the rest.
   * The slope says what a key may cost in error: from 0.0025 (careful) to 0.04. Default `off`. Needs `basis: "score"` and a
   * calibration that has it. Not with `grain: "row"`.
   */
  select?: number | "off" | undefined;
  /**
   * Several options at once, measured together; options given beside it win. `exact` (default): as without. `fast`: score basis,
   * `select` 0.04 and a value cutoff of 0.0005. `small`: element grain at 60 % sparsity, `select` 0.01, the same cutoff.
   */
  preset?: "exact" | "fast" | "small" | undefined;
  /** Values weighing less than this share of the largest weight of their query are skipped (sink and newest 64 never). Default 0: none. */
  valueCutoff?: number | undefined;
}
