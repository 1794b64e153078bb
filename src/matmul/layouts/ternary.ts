import { bytesPerBlock, ROW_GROUP, type WeightLayout } from "./layout.js";

/**
 * 2-bit codes 0, 1, 2 for −1, 0, +1; per 16 columns 2 × 16 bytes (rows 0–3, rows 4–7), byte 4·r + c holding columns c,
 * 4 + c, 8 + c, 12 + c of row r from the low bits up.
 */
export const ternary: WeightLayout = {
  activations: "int8-token",
  rowUnit: ROW_GROUP,
  groupBytes: bytesPerBlock(64),
  one: "gemv_ternary",
  few: "gemm_few_ternary",
  mostFew: 16,
  few32: "gemm_few_ternary32",
  many: "gemm_ternary",
  blockScales: "gemm_ternary_blocks",
  rows: "rows_ternary",
  choosesDots: true,
};
