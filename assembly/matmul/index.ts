export * from "./activations";
export { matmul_scratch_bytes, strip_scratch_bytes } from "./scratch";
export { hidden_zero } from "./opaque";
export { gemm_codes, gemm_q4, gemm_q4k, gemm_q4min, gemm_q6, gemm_q8 } from "./layouts/block-gemm";
export { gemv_codes } from "./layouts/codes";
export {
  gemm_bf16, gemm_f16, gemm_f32, gemv_bf16, gemv_f16, gemv_f32, rows_bf16, rows_f16, rows_f32,
} from "./layouts/floats";
export { rows_codes, rows_q4, rows_q4k, rows_q4min, rows_q6, rows_q8 } from "./layouts/block-rows";
export { gemv_q4, gemv_q4k, gemv_q4min } from "./layouts/q4";
export { gemm_few_q4, gemm_few_q4k, gemm_few_q4min } from "./layouts/q4-few";
export { gemm_few_q6, gemv_q6 } from "./layouts/q6";
export { gemm_few_q8, gemv_q8 } from "./layouts/q8";
export { gemv_ternary, rows_ternary } from "./layouts/ternary";
export { gemm_few_ternary, gemm_few_ternary32 } from "./layouts/ternary-few";
export { gemm_ternary } from "./layouts/ternary-gemm";
export { gemm_ternary_blocks } from "./layouts/ternary-blocks";
export { gemv_ternary_lut } from "./layouts/ternary-lut";
export { gated_ternary, gemm_ternary_rows } from "./layouts/ternary-rows";
export { active_columns, count_codes, gemm_active_columns, gemm_ternary_columns, list_columns } from "./layouts/ternary-columns";
export {
  arrange_ternary_columns, arrange_ternary_rows, rows_ternary_columns, rows_ternary_rows,
} from "./layouts/ternary-order";
export { gemm_ternary_lut } from "./layouts/ternary-lut-gemm";
export { arrange_ternary_lut, restore_ternary, rows_ternary_lut } from "./layouts/ternary-lut-order";
export {
  repack_float, repack_float_q4, repack_float_q6, repack_float_q8, repack_float_ternary, sum_magnitudes,
} from "./repack/floats";
export {
  repack_q2_k, repack_q3_k, repack_q4_0, repack_q4_1, repack_q4_k, repack_q5_0, repack_q5_1, repack_q5_k, repack_q6_k,
  repack_q8_0,
} from "./repack/gguf-blocks";
export { repack_hf_bitnet, repack_i2s, repack_i2s_rows4 } from "./repack/ternary";
export { repack_tq1_0, repack_tq2_0, same_scales } from "./repack/ternary-scaled";
