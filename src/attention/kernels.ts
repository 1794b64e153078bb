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
  attention_queries_int8(
    out: number,
    q: number,
    stride: number,
    rows: number,
    group: number,
    headDim: number,
    long: number,
  ): void;
  attention_work_bytes(headDim: number): number;
  attention_peaks_int8: PeaksKernel;
  attention_peaks_runs: PeaksKernel;
  attention_range_int8: RangeKernel;
  attention_range_runs: RangeKernel;
  merged_spans(parameters: number, position: number): number;
  cache_merge_span(parameters: number, index: number, span: number, merge: number, work: number): void;
  map_rows(
    y: number,
    x: number,
    stride: number,
    count: number,
    group: number,
    map: number,
    matrix: number,
    headDim: number,
  ): void;
  cache_store_keys_grid(
    blocks: number,
    offset: number,
    keys: number,
    stride: number,
    tokens: number,
    position: number,
    headDim: number,
    map: number,
    matrix: number,
    work: number,
  ): void;
  cache_store_keys_delta(
    parameters: number,
    index: number,
    keys: number,
    stride: number,
    tokens: number,
    position: number,
    map: number,
    matrix: number,
    limits: number,
    squares: number,
    limit: number,
    counters: number,
    work: number,
  ): void;
  cache_store_references(
    parameters: number,
    index: number,
    from: number,
    to: number,
    limits: number,
    squares: number,
    limit: number,
    work: number,
  ): void;
  far_keys(parameters: number, position: number): number;
  cache_last_reference(
    parameters: number,
    index: number,
    length: number,
    limits: number,
    squares: number,
    limit: number,
    work: number,
  ): void;
  record_query(to: number, q: number, bytes: number): void;
  record_moments(sums: number, q: number, stride: number, rows: number, group: number, headDim: number): void;
  expand_table(out: number): void;
  delta_fold(out: number, tile: number, headDim: number, grain: number, work: number): number;
  delta_unfold(tile: number, folded: number, headDim: number, grain: number, table: number, reference: number): void;
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

type PeaksKernel = (
  peaks: number,
  queries: number,
  rows: number,
  position: number,
  work: number,
  parameters: number,
  index: number,
) => void;

type RangeKernel = (
  states: number,
  queries: number,
  peaks: number,
  rows: number,
  position: number,
  work: number,
  parameters: number,
  index: number,
  start: number,
  fresh: number,
  counters: number,
) => void;
