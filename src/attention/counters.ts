/** Threads with counters of their own. */
export const COUNTED_THREADS = 64;

/** Offset of two u64 (elements dropped, elements seen) of one layer and KV head; stage 0 is prefill, 1 decode. */
export function keyCounters(heads: number, stage: 0 | 1, head: number): number {
  return (stage * heads + head) * 16;
}

/**
 * Offset of four u64 of one thread: groups of 4 values multiplied, those of full attention, groups of 4 keys multiplied,
 * those of full attention.
 */
export function productCounters(heads: number, stage: 0 | 1, head: number, thread: number): number {
  return 2 * heads * 16 + (((thread % COUNTED_THREADS) * 2 + stage) * heads + head) * 32;
}

export function counterBytes(heads: number): number {
  return 2 * heads * 16 + COUNTED_THREADS * 2 * heads * 32;
}

/** What delta attention and value skipping left out, as fractions of full attention over an int8 cache. */
export interface AttentionStats {
  kind: "full" | "delta";
  grain: "element" | "chunk" | "row";
  basis: "raw" | "score";
  /** Share of the elements of all keys so far that were not stored because they changed too little. */
  deltaSparsity: number;
  /** deltaSparsity × (1 − window / length), as in the paper. */
  attentionSparsity: number;
  /** Multiply–accumulates of QKᵀ and PV that were not executed, of those of causal full attention. */
  skippedMacs: number;
  /** Bytes of keys and values a decode step reads at the present length, of those of the full int8 cache. */
  bytesRead: number;
  /** Bytes the cache takes now. */
  kvBytes: number;
  /** Bytes the full int8 cache takes for the same tokens. */
  kvBytesFull: number;
  /** The same per layer and KV head (index layer · kvHeads + KV head) and stage. */
  heads: HeadStats[];
}

export interface HeadStats {
  layer: number;
  kvHead: number;
  stage: "prefill" | "decode";
  deltaSparsity: number;
  skippedValues: number;
}
