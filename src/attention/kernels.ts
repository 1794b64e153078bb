/** The attention, KV-cache and RoPE kernels of `assembly/`, as seen from TypeScript. */
export type AttentionKernels = {};
