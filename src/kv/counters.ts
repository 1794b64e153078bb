/** Most threads that are counted apart. */
export const COUNTED_THREADS = 64;

/** 0 prefill, 1 decode. */
export type Stage = 0 | 1;

// Counters of a cache, u64: per stage and slot (layer × KV head) two of keys (elements dropped, elements seen); then per
// thread, stage and slot eight of products: groups of 4 values multiplied, those of full attention, steps of 4 keys and 4
// elements multiplied, those of full attention, exponentials of groups of 4 keys and a row, groups that were completed, groups
// there were, 1 unused.
const KEY_BYTES = 16;
/** Bytes from the counters of products of a slot to those of the next. */
export const PRODUCT_BYTES = 64;

/** Offset of the counters of keys of one slot. */
export function keyCounters(slots: number, stage: Stage, slot: number): number {
  return (stage * slots + slot) * KEY_BYTES;
}

/** Offset of the counters of products of one slot in one thread. */
export function productCounters(slots: number, stage: Stage, slot: number, thread: number): number {
  return 2 * slots * KEY_BYTES + ((thread * 2 + stage) * slots + slot) * PRODUCT_BYTES;
}

export function counterBytes(slots: number, threads: number): number {
  return 2 * slots * (KEY_BYTES + threads * PRODUCT_BYTES);
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
  /** With selective scoring: how much of what it chooses from was completed. */
  selected?: SelectionStats | undefined;
  /** The option `valueCutoff`; only where it is not 0. */
  valueCutoff?: number | undefined;
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
  /** With selective scoring: groups of 4 keys there were, and those of them that were completed. */
  selected?: { completedGroups: number; groups: number } | undefined;
}

/** Counts are of groups of 4 keys and the query heads, up to four, that decide together. */
export interface SelectionStats {
  /** The option `select`. */
  slope: number;
  /** Groups that were completed. */
  completedGroups: number;
  /** Groups there were: those to choose from, and those that are always taken. */
  groups: number;
  /** completedGroups / groups. */
  completedShare: number;
  /** Exponentials computed, of 4 keys and one query head at once. */
  exponentials: number;
}
