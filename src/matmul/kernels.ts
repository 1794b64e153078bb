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

/** The matrix-product, repacking and activation-quantisation kernels of `assembly/`, as seen from TypeScript. */
export interface MatmulKernels {
  quantise_per_token(out: number, x: number, tokens: number, columns: number): void;
  quantise_per_block(out: number, x: number, tokens: number, columns: number): void;

  gemv_ternary(
    out: number,
    weights: number,
    record: number,
    columns: number,
    rowStart: number,
    rowEnd: number,
    scale: number,
    accumulate: number,
    dot32: number,
  ): void;
  gemm_ternary(
    out: number,
    weights: number,
    records: number,
    tokens: number,
    rows: number,
    columns: number,
    rowStart: number,
    rowEnd: number,
    scale: number,
    accumulate: number,
    scratch: number,
    dot32: number,
  ): void;
  gemv_ternary_lut(
    out: number,
    weights: number,
    record: number,
    rows: number,
    columns: number,
    rowStart: number,
    rowEnd: number,
    scale: number,
    accumulate: number,
    scratch: number,
  ): void;
  gemm_ternary_lut(
    out: number,
    weights: number,
    records: number,
    tokens: number,
    rows: number,
    columns: number,
    rowStart: number,
    rowEnd: number,
    scale: number,
    accumulate: number,
    scratch: number,
  ): void;
  gemm_ternary_blocks(
    out: number,
    weights: number,
    records: number,
    tokens: number,
    rows: number,
    columns: number,
    rowStart: number,
    rowEnd: number,
    blockScales: number,
    accumulate: number,
    scratch: number,
  ): void;
  gemv_q4: Gemv;
  gemv_q4min: Gemv;
  gemv_q4k: Gemv;
  gemv_q6: Gemv;
  gemv_q8: Gemv;
  gemv_codes: Gemv;
  gemv_f16: Gemv;
  gemv_bf16: Gemv;
  gemv_f32: Gemv;
  gemm_q4: Gemm;
  gemm_q4min: Gemm;
  gemm_q4k: Gemm;
  gemm_q6: Gemm;
  gemm_q8: Gemm;
  gemm_codes: Gemm;
  gemm_f16: Gemm;
  gemm_bf16: Gemm;
  gemm_f32: Gemm;

  rows_ternary(
    out: number,
    weights: number,
    ids: number,
    tokens: number,
    rows: number,
    columns: number,
    scale: number,
    blockScales: number,
  ): void;
  rows_ternary_lut(
    out: number,
    weights: number,
    ids: number,
    tokens: number,
    rows: number,
    columns: number,
    scale: number,
  ): void;
  rows_q4(out: number, weights: number, ids: number, tokens: number, rows: number, columns: number, kind: number): void;
  rows_q6(out: number, weights: number, ids: number, tokens: number, rows: number, columns: number): void;
  rows_q8(out: number, weights: number, ids: number, tokens: number, rows: number, columns: number): void;
  rows_codes(out: number, weights: number, ids: number, tokens: number, rows: number, columns: number): void;
  rows_float(
    out: number,
    weights: number,
    ids: number,
    tokens: number,
    rows: number,
    columns: number,
    type: number,
  ): void;

  repack_q4_0: RepackBlocks;
  repack_q4_1: RepackBlocks;
  repack_q5_0: RepackBlocks;
  repack_q5_1: RepackBlocks;
  repack_q8_0: RepackBlocks;
  repack_q2_k: RepackBlocks;
  repack_q3_k: RepackBlocks;
  repack_q4_k: RepackBlocks;
  repack_q5_k: RepackBlocks;
  repack_q6_k: RepackBlocks;
  repack_i2s_rows4: RepackBlocks;
  repack_i2s(
    weights: number,
    source: number,
    rows: number,
    columns: number,
    firstRow: number,
    headDim: number,
    block: number,
    temp: number,
  ): number;
  repack_hf_bitnet(
    weights: number,
    source: number,
    packedRows: number,
    columns: number,
    firstRow: number,
    quarter: number,
    rows: number,
    headDim: number,
    temp: number,
  ): number;
  repack_tq1_0(
    weights: number,
    source: number,
    rows: number,
    columns: number,
    firstRow: number,
    headDim: number,
    blockScales: number,
    temp: number,
  ): number;
  repack_tq2_0(
    weights: number,
    source: number,
    rows: number,
    columns: number,
    firstRow: number,
    headDim: number,
    blockScales: number,
    temp: number,
  ): number;
  arrange_ternary_lut(weights: number, rows: number, columns: number, temp: number): void;
  /** 1 when all scales but zeros are equal; then the first becomes that scale. */
  same_scales(scales: number, count: number): number;
  repack_float(
    weights: number,
    source: number,
    rows: number,
    columns: number,
    firstRow: number,
    headDim: number,
    size: number,
  ): void;
  repack_float_q8(
    weights: number,
    source: number,
    rows: number,
    columns: number,
    firstRow: number,
    headDim: number,
    type: number,
    temp: number,
  ): number;
  repack_float_q6(
    weights: number,
    source: number,
    rows: number,
    columns: number,
    firstRow: number,
    headDim: number,
    type: number,
    temp: number,
  ): number;
  repack_float_q4(
    weights: number,
    source: number,
    rows: number,
    columns: number,
    firstRow: number,
    headDim: number,
    type: number,
    temp: number,
  ): number;
  repack_float_ternary(
    weights: number,
    source: number,
    rows: number,
    columns: number,
    firstRow: number,
    headDim: number,
    type: number,
    inverse: number,
    temp: number,
  ): void;
  /** `before` + Σ|W| in f64, in a fixed order. */
  sum_magnitudes(source: number, rows: number, columns: number, type: number, before: number): number;
}
