import { bytesPerBlock, ROW_GROUP, type WeightLayout } from "./layout.js";

/**
 * Per block 8 f16 scales, then 4 × 2 × 16 bytes: vector j, byte 4·r + c holding column 4·j + c in the low nibble and
 * 16 + 4·j + c in the high one; value = scale · (code − 8).
 */
export const q4: WeightLayout = {
  activations: "int8-block",
  rowUnit: ROW_GROUP,
  groupBytes: bytesPerBlock(16 + 128),
  one: "gemv_q4",
  few: "gemm_few_q4",
  many: "gemm_q4",
  mostFew: 16,
  rows: "rows_q4",
};

/** As `q4` with 8 f16 minima after the scales; value = scale · code + minimum. */
export const q4min: WeightLayout = {
  ...q4,
  groupBytes: bytesPerBlock(32 + 128),
  one: "gemv_q4min",
  few: "gemm_few_q4min",
  many: "gemm_q4min",
  rows: "rows_q4min",
};

/** As `q4min` with scales and minima in f32. */
export const q4k: WeightLayout = {
  ...q4,
  groupBytes: bytesPerBlock(64 + 128),
  one: "gemv_q4k",
  few: "gemm_few_q4k",
  many: "gemm_q4k",
  rows: "rows_q4k",
};
