import { LINE_UNIT, lineBytes, type WeightLayout } from "./layout.js";

/**
 * 2-bit codes 0, 1, 2 for −1, 0, +1, row by row; per 64 columns 16 bytes, byte i holding columns i, 16 + i, 32 + i, 48 + i
 * from the low bits up. For `up` of networks with relu², whose rows are wanted one by one.
 */
export const ternaryRows: WeightLayout = {
  activations: "int8-token",
  rowUnit: 8,
  groupBytes: (columns) => 8 * lineBytes(columns),
  one: "gemm_ternary_rows",
  few: "gemm_ternary_rows",
  many: "gemm_ternary_rows",
  rows: "rows_ternary_rows",
  choosesDots: true,
};

/**
 * The same column by column, in blocks of `Weight.blockRows` rows, 16 bytes per 64 rows. For `down` of networks with relu²,
 * most of whose inputs are 0; see `listColumns`.
 */
export const ternaryColumns: WeightLayout = {
  activations: "int8-token",
  rowUnit: LINE_UNIT,
  groupBytes: (columns) => 2 * columns,
  one: "gemm_ternary_columns",
  few: "gemm_ternary_columns",
  many: "gemm_ternary_columns",
  rows: "rows_ternary_columns",
  choosesDots: true,
};
