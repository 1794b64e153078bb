import { bytesPerBlock, ROW_GROUP, type WeightLayout } from "./layout.js";

/** Per block 8 f16 scales, then per 2 columns 8 × 2 signed bytes; value = scale · code. */
export const q8: WeightLayout = {
  activations: "int8-block",
  rowUnit: ROW_GROUP,
  groupBytes: bytesPerBlock(16 + 256),
  one: "gemv_q8",
  few: "gemm_few_q8",
  many: "gemm_q8",
  mostFew: 16,
  rows: "rows_q8",
};
