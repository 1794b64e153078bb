/** The attention, KV-cache and RoPE kernels of `assembly/attention`, as seen from TypeScript; shapes are described there. */
export interface AttentionKernels {
  /** x = H·x · factor for `count` vectors of `size` f32 numbers (a power of two, at least 4), in place. */
  hadamard(x: number, count: number, size: number, factor: number): void;
  rope_table(
    out: number,
    positions: number,
    headDim: number,
    theta: number,
    factors: number,
    scale: number,
    low: number,
    high: number,
    original: number,
  ): void;
  rope_rotate(x: number, table: number, tokens: number, heads: number, headDim: number): void;
  cache_store_keys_int8: StoreKernel;
  cache_store_values_int8: StoreKernel;
  cache_store_f32: StoreKernel;
  attention_queries_int8(out: number, q: number, stride: number, rows: number, group: number, headDim: number): void;
  attention_range_int8(
    states: number,
    queries: number,
    rows: number,
    group: number,
    position: number,
    work: number,
    keyBlocks: number,
    keyOffset: number,
    valueBlocks: number,
    valueOffset: number,
    start: number,
    fresh: number,
    headDim: number,
  ): void;
  attention_range_f32(
    states: number,
    q: number,
    stride: number,
    rows: number,
    group: number,
    position: number,
    work: number,
    keyBlocks: number,
    keyOffset: number,
    valueBlocks: number,
    valueOffset: number,
    start: number,
    fresh: number,
    headDim: number,
  ): void;
  attention_merge(states: number, rows: number, partStride: number, parts: number, headDim: number): void;
  attention_finish(out: number, stride: number, states: number, rows: number, group: number, headDim: number): void;
}

type StoreKernel = (
  blocks: number,
  offset: number,
  x: number,
  stride: number,
  tokens: number,
  position: number,
  headDim: number,
) => void;
