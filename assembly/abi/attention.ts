/** Tokens per page of a cache; the unit in which softmax weights are rounded. */
export const PAGE: i32 = 64;
/** Keys per range: softmax is computed range by range, and the results are merged in the order of the ranges. */
export const RANGE: i32 = 512;
/** Keys per span, half a range: what row grain merges at once. */
export const SPAN: i32 = 256;

/** A cache of keys and values, as kernels see it. Tables hold one u32 address per page of 64 tokens. */
@unmanaged
export class Cache {
  /** Table of pages of whole keys. */
  keys: usize;
  /** Table of pages of values. */
  values: usize;
  /** Table of pages of references, odd addresses where they are packed; 0 for full attention. */
  far: usize;
  /** Table of merged spans, 0 when none are ever merged. */
  merged: usize;
  /** i32 [positions]: first key of the window of a query there; delta attention only. */
  windowStarts: usize;
  /** Table of `expand_table`. */
  expandTable: usize;
  /** u8 [layers · kvHeads][headDim]: references of the last key. Exchanged with the next when a pass is committed: one that fails has changed nothing. */
  lastReferences: usize;
  /** The same after the pass that is computed now. */
  nextReferences: usize;
  /** 0 elements, 1 chunks, 2 rows. */
  grain: i32;
  /** First keys that delta attention always takes whole. */
  sink: i32;
  valueCutoff: f32;
  headDim: i32;
  /** Query heads per KV head. */
  group: i32;
  /** 1: queries have 15 bits (keys on a grid in the raw basis). */
  longQueries: i32;
  /** Selective scoring: how many leading elements of far keys are multiplied first; 0 without. */
  select: i32;
}

/** Query rows of one KV head that are computed together; row r is head r mod group of token r / group. */
@unmanaged
export class QueryRows {
  cache: Cache;
  /** Layer · kvHeads + KV head. */
  slot: i32;
  /** Position of the first token. */
  position: i32;
  rows: i32;
  /** Rows at one position: query heads per KV head, or more than there are rows, so that all see the same keys. */
  group: i32;
  /** From `attention_queries_int8`; in f32 caches f32 [tokens][group][headDim], tokens `stride` bytes apart. */
  queries: usize;
  stride: usize;
  /** f32 [rows] from `attention_peaks_int8`; not read when the value cutoff is 0. */
  peaks: usize;
  /** A thread's work area. */
  work: usize;
  /** Four u64, added to: groups of 4 values multiplied, those of full attention, the same of keys. */
  counters: usize;
  /** i32 [rows] from `attention_thresholds`, and the numbers it reads of this slot; not read without selective scoring. */
  thresholds: usize;
  selection: usize;
  /** How many keys a query sees, its own included; 0: all up to its own. */
  window: i32;
}

/** New keys of one KV head. */
@unmanaged
export class NewKeys {
  cache: Cache;
  /** Layer · kvHeads + KV head. */
  slot: i32;
  /** Position of the first. */
  position: i32;
  tokens: i32;
  /** f32 [tokens][headDim], tokens `stride` bytes apart. */
  keys: usize;
  stride: usize;
  /** What `map_rows` takes: to grid coordinates. */
  map: usize;
  matrix: i32;
  /** u8 [headDim], largest difference of codes that is dropped. */
  limits: usize;
  /** f32 [headDim], squared grid steps. */
  squares: usize;
  /** θ² */
  limit: f32;
  /** Two u64, added to: elements not stored, elements seen. */
  counters: usize;
  /** 5·headDim bytes. */
  work: usize;
}
