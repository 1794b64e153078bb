/** What was measured on a calibration text, per layer and KV head; plain JSON. */
export interface Calibration {
  format: "deltallm-calibration";
  version: 1;
  /** Identifies the weights it was measured on. */
  model: string;
  layers: number;
  kvHeads: number;
  headDim: number;
  heads: CalibratedHead[];
}

/** One layer and KV head; `heads[layer · kvHeads + kvHead]`. */
export interface CalibratedHead {
  /** Step of the 7-bit grid per element of the key, raw basis. */
  rawSteps: number[];
  /** The same in the score basis. */
  scoreSteps?: number[] | undefined;
  /** Row-major d × d matrix A of the score basis: k' = A·k. */
  basis?: number[] | undefined;
  /** Its inverse transpose: q' = A⁻ᵀ·q. */
  inverse?: number[] | undefined;
  /** Thresholds by `grain/basis`, at the target sparsities 0.05, 0.10 … 0.95. */
  thresholds: Record<string, number[]>;
}
