import { ROW_GROUP, type WeightLayout } from "./layout.js";

/** Per column 8 numbers; columns are not padded. */
export const f32: WeightLayout = {
  activations: "f32",
  rowUnit: ROW_GROUP,
  groupBytes: (columns) => columns * 32,
  one: "gemv_f32",
  few: "gemm_f32",
  many: "gemm_f32",
  rows: "rows_f32",
};

/** The same in f16. */
export const f16: WeightLayout = {
  ...f32,
  groupBytes: (columns) => columns * 16,
  one: "gemv_f16",
  few: "gemm_f16",
  many: "gemm_f16",
  rows: "rows_f16",
};

/** The same in bf16. */
export const bf16: WeightLayout = {
  ...f32,
  groupBytes: (columns) => columns * 16,
  one: "gemv_bf16",
  few: "gemm_bf16",
  many: "gemm_bf16",
  rows: "rows_bf16",
};
