export { attention_range_f32 } from "./full-f32";
export { attention_queries_int8, attention_range_int8 } from "./full-int8";
export { rope_rotate, rope_table } from "./rope";
export { attention_finish, attention_merge } from "./softmax";
export { cache_store_f32, cache_store_keys_int8, cache_store_values_int8 } from "./store";
export { hadamard } from "./hadamard";
