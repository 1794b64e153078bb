/** What zeros saved in the feed-forward network of one layer, or of all. */
export interface FfnStats {
  /** Share of gates that were zero: relu² of a number that is not positive. */
  zeroGates: number;
  /** Share of the inputs of `down` that were zero: behind such gates, or rounded to zero as 8-bit numbers. */
  zeroInputs: number;
  /** Multiplications of `up` and `down` that were left out, and their share of all of both. */
  skippedMacs: number;
  skippedShare: number;
  /** Bytes not read: rows of `up` that no token of a forward pass needed; columns of `down` in passes of one token. */
  skippedBytes: number;
}

/** The same, with each layer on its own. */
export interface FfnLayersStats extends FfnStats {
  layers: FfnStats[];
}
