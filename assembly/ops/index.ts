export { add_count, add_counts, copy_bytes, count_gates, exp_f32, relu2_gate, silu_gate } from "./elementwise";
export { rms_norm } from "./rms-norm";
export { add_bias, add_scaled, cap_logits, gelu_gate, rms_norm_rows, rope_rotate_part, scale_f32 } from "./rows";
export { barrier, barrier_wait } from "./barrier";
export { dot_probe, relaxed_dots } from "./probe";
