import { bytesPerBlock, type WeightLayout } from "./layout.js";

/** Rows of a tile of layout `ternary-lut`, whose vectors hold 16 rows. */
export const LUT_ROWS = 32;

/**
 * The codes of `ternary` for look-ups, without groups: per 1024 rows, per 512 columns, per 32 rows, per 16 columns 4 × 32
 * bytes: vector c holding columns c, 4 + c, 8 + c, 12 + c of rows 0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15, then
 * of rows 16 … 31 likewise. What remains at the end is a shorter unit; rows are a multiple of 32.
 */
export const ternaryLut: WeightLayout = {
  activations: "int8-token",
  rowUnit: LUT_ROWS,
  groupBytes: bytesPerBlock(64),
  one: "gemv_ternary_lut",
  few: "gemv_ternary_lut",
  mostFew: 6,
  many: "gemm_ternary_lut",
  rows: "rows_ternary_lut",
};
