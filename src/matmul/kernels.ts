/** One token: rows `rowStart` (a multiple of 8) to `rowEnd` − 1 of out f32 [rows]; accumulate: 1 adds to out. */
export type Gemv = (
  out: number,
  weights: number,
  activations: number,
  columns: number,
  rowStart: number,
  rowEnd: number,
  accumulate: number,
) => void;

/** Many tokens: out f32 [tokens][rows]. */
export type Gemm = (
  out: number,
  weights: number,
  activations: number,
  tokens: number,
  rows: number,
  columns: number,
  rowStart: number,
  rowEnd: number,
  accumulate: number,
  scratch: number,
) => void;

/** Writes file rows `firstRow …` into a layout; −1, or the offset in `source` of the first impossible block. */
export type RepackBlocks = (
  weights: number,
  source: number,
  rows: number,
  columns: number,
  firstRow: number,
  headDim: number,
  temp: number,
) => number;
