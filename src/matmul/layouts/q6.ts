import { bytesPerBlock, ROW_GROUP, type WeightLayout } from "./layout.js";

/**
 * Per block 8 f16 scales, for each half block 8 signed bytes that multiply them, for each half block 3 × 2 × 16 bytes:
 * vector j, byte 4·r + c holding the code of column 4·j + c, and in its top two bits bits 2j, 2j + 1 of the code of column
 * 12 + c; value = scale · factor · (code − 32).
 */
export const q6: WeightLayout = {
  activations: "int8-block",
  rowUnit: ROW_GROUP,
  groupBytes: bytesPerBlock(32 + 128 + 64),
  one: "gemv_q6",
  few: "gemm_few_q6",
  many: "gemm_q6",
  rows: "rows_q6",
};
