import { bytesPerBlock, ROW_GROUP, type WeightLayout } from "./layout.js";

/** Per half block (16 columns) 8 f32 scales and 8 f32 minima, then per 4 columns 8 × 4 bytes, codes 0–63. */
export const codes: WeightLayout = {
  activations: "int8-block",
  rowUnit: ROW_GROUP,
  groupBytes: bytesPerBlock(128 + 256),
  one: "gemv_codes",
  few: "gemm_codes",
  many: "gemm_codes",
  rows: "rows_codes",
};
