export {
  cache_last_reference, cache_store_keys_delta, cache_store_keys_grid, cache_store_references, far_keys,
} from "./delta-store";
export { attention_range_f32 } from "./full-f32";
export { delta_pack, delta_unpack, expand_table } from "./pack";
export { map_rows } from "./grid";
export { attention_peaks_int8, attention_range_int8 } from "./int8";
export { cache_merge_span, merged_spans } from "./merge";
export { attention_queries_int8 } from "./queries";
export { record_moments } from "./record";
export { rope_rotate, rope_table } from "./rope";
export { attention_finish, attention_merge } from "./softmax";
export { attention_peaks_runs, attention_range_runs } from "./runs";
export { cache_store_f32, cache_store_keys_int8, cache_store_values_int8 } from "./store";
export { attention_thresholds } from "./thresholds";
export { hadamard } from "./hadamard";
export { attention_token_int8 } from "./token";
