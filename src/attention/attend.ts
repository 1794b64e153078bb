import { QueryRows } from "../kernels/generated.js";
import { SAMPLE } from "../kv/calibration.js";
import { PRODUCT_BYTES, productCounters } from "../kv/counters.js";
import type { CacheDescriptor, RecordingDescriptor } from "../kv/descriptor.js";
import { RANGE, stateBytes, unitTokens } from "../kv/layout.js";
import type { CacheSlice } from "../kv/slice.js";
import { share, type Thread } from "../threads/thread.js";
import { attentionWork, mappedBytes, PEAKS, queriesBytes, statesBytes, threadBytes } from "./scratch.js";

/**
 * Causal attention of the tokens of a slice (queries after RoPE); every thread must call it, and a barrier must follow
 * before `out` is read. Threads share out KV heads × query tokens; a single query over several ranges of keys is shared
 * out by KV heads × ranges and merged after a barrier. Every split gives the same bits.
 * @param out, queries f32 [tokens][heads][headDim]; may not overlap
 */
export function attend(
  thread: Thread,
  slice: CacheSlice,
  layer: number,
  out: number,
  queries: number,
  scratch: number,
): void {
  const { cache, tokens, position } = slice;
  const { heads, kvHeads, headDim } = cache;
  const group = heads / kvHeads;
  const own = attentionWork(scratch, thread, headDim);
  if (cache.recording) recordQueries(thread, slice, cache.recording, layer, queries);
  const seen = windowOf(cache, layer);
  const headBytes = group * headDim * 4;
  // One object for all units: a new one for each would be garbage, which costs time per token.
  const unit: Unit = { slice, layer, head: -1, own, queries, position, tokens, last: undefined, window: seen };
  if (sharesRanges(thread, slice, layer)) {
    const firstRange = firstRangeOf(position, seen);
    const ranges = Math.ceil((position + 1) / RANGE) - firstRange;
    const parts = scratch + thread.count * threadBytes(headDim);
    const partStride = group * stateBytes(headDim);
    const [start, end] = share(thread, kvHeads * ranges);
    for (let part = start; part < end; part++) {
      const head = Math.floor(part / ranges);
      if (unit.head !== head) {
        unit.head = head;
        unit.queries = queries + head * headBytes;
        prepare(thread, unit);
      }
      range(thread, unit, parts + part * partStride, (firstRange + (part % ranges)) * RANGE, true);
    }
    thread.barrier();
    const [firstHead, endHead] = share(thread, kvHeads);
    for (let head = firstHead; head < endHead; head++) {
      const states = parts + head * ranges * partStride;
      thread.kernels.attention_merge(states, group, partStride, ranges, headDim);
      thread.kernels.attention_finish(out + head * headBytes, heads * headDim * 4, states, group, group, headDim);
    }
    return;
  }
  if (tokens === 1 && isPlain(slice)) {
    const [start, end] = share(thread, kvHeads);
    if (start === end) return;
    unit.head = start;
    const record = describe(thread, unit);
    const at = start * headBytes;
    const begin = firstRangeOf(position, seen) * RANGE;
    thread.kernels.attention_token_int8(out + at, queries + at, record, own, begin, end - start, PRODUCT_BYTES);
    return;
  }
  // A window around the query ends with another key for each.
  const around = slice.sees === "all" && seen > 0;
  const unitSize = around ? 1 : unitTokens(group);
  const units = Math.ceil(tokens / unitSize);
  const [start, end] = share(thread, kvHeads * units);
  for (let index = start; index < end; index++) {
    unit.head = Math.floor(index / units);
    const first = (index % units) * unitSize;
    unit.position = position + first;
    unit.tokens = Math.min(unitSize, tokens - first);
    const at = first * heads * headDim * 4 + unit.head * headBytes;
    unit.queries = queries + at;
    if (slice.sees === "all") seeAround(unit, position + tokens - 1, seen);
    prepare(thread, unit);
    const last = unit.last ?? unit.position + unit.tokens - 1;
    const before = (unit.last ?? unit.position) + 1 - unit.window;
    const begin = unit.window ? Math.floor(Math.max(0, before) / RANGE) * RANGE : 0;
    for (let key = begin; key <= last; key += RANGE) range(thread, unit, own, key, key === begin);
    thread.kernels.attention_finish(out + at, heads * headDim * 4, own, unit.tokens * group, group, headDim);
  }
}

/** Whether threads share out the ranges of keys of a slice and not just its KV heads: then its keys must have been stored by all. */
export function sharesRanges(thread: Thread, { cache, position, tokens }: CacheSlice, layer: number): boolean {
  if (tokens !== 1 || thread.count === 1) return false;
  return position + 1 > (firstRangeOf(position, windowOf(cache, layer)) + 1) * RANGE;
}

/** The first range a query sees. */
function firstRangeOf(position: number, seen: number): number {
  return seen ? Math.floor(Math.max(0, position + 1 - seen) / RANGE) : 0;
}

/** Lets the queries of a unit see later keys too: all up to `end`, or `seen` / 2 on either side of the first query. */
function seeAround(unit: Unit, end: number, seen: number): void {
  unit.last = end;
  if (!seen) return;
  const half = Math.floor(seen / 2);
  unit.last = Math.min(end, unit.position + half);
  unit.window = unit.last - (unit.position - half) + 1;
}

/** Query tokens of one KV head that are computed together. */
interface Unit {
  readonly slice: CacheSlice;
  readonly layer: number;
  /** KV head. */
  head: number;
  /** This thread's scratch. */
  readonly own: number;
  /** Address of the first query head of the group at the first token. */
  queries: number;
  /** Of the first token. */
  position: number;
  tokens: number;
  /** The one position all queries see up to, where they are not causal. */
  last: number | undefined;
  /** Keys seen by each query, or up to `last`; 0: all. */
  window: number;
}

/** Filled anew for every unit. */
const rowsRecord: QueryRows = {
  cache: 0,
  slot: 0,
  position: 0,
  rows: 0,
  group: 0,
  queries: 0,
  stride: 0,
  peaks: 0,
  work: 0,
  thresholds: 0,
  selection: 0,
  counters: 0,
  window: 0,
};

/** More rows than any unit has. */
const ALL_ROWS = 2 ** 30;

/** Keeps what a calibration wants of the queries: sums of products, and samples. */
function recordQueries(
  thread: Thread,
  { cache, tokens, position }: CacheSlice,
  recording: RecordingDescriptor,
  layer: number,
  queries: number,
): void {
  const { headDim, heads, kvHeads } = cache;
  const group = heads / kvHeads;
  const [start, end] = share(thread, kvHeads);
  for (let head = start; head < end; head++) {
    const slot = layer * kvHeads + head;
    const from = queries + head * group * headDim * 4;
    const bytes = group * headDim * 4;
    const to = recording.moments + slot * headDim * headDim * 4;
    thread.kernels.record_moments(to, from, bytes * kvHeads, tokens * group, group, headDim);
    const samples = recording.samples + slot * recording.sampleBytes;
    for (let t = SAMPLE - 1 - (position % SAMPLE); t < tokens; t += SAMPLE) {
      const sample = Math.floor((position + t) / SAMPLE);
      thread.kernels.copy_bytes(samples + sample * bytes, from + t * bytes * kvHeads, bytes);
    }
  }
}

/** Keys a query of a layer sees, itself included; 0: all before it. */
function windowOf(cache: CacheDescriptor, layer: number): number {
  return cache.windows?.[layer] ?? 0;
}

/** Where a thread keeps the record of query rows. */
const queryRowsAt = (thread: Thread) => thread.records;

/** Whether all keys and values of a cache are taken, each as it was rounded by itself: what `attention_token_int8` does. */
function isPlain({ cache, sees }: CacheSlice): boolean {
  return (
    cache.kind === "int8" && !cache.grid && !cache.delta && cache.valueCutoff === 0 && !cache.selects && sees !== "all"
  );
}

/** Writes the record of a unit's query rows. Returns its address. */
function describe(thread: Thread, unit: Unit): number {
  const { slice, layer, head, own, queries, position, tokens, last } = unit;
  const { cache } = slice;
  const { headDim, heads, kvHeads, grid } = cache;
  const group = heads / kvHeads;
  const rows = tokens * group;
  const slot = layer * kvHeads + head;
  const stride = heads * headDim * 4;
  const quantised = own + statesBytes(headDim);
  const peaks = quantised + queriesBytes(headDim) + mappedBytes(headDim);
  const counted = thread.index % cache.countedThreads;
  const address = queryRowsAt(thread);
  rowsRecord.cache = cache.record;
  rowsRecord.slot = slot;
  rowsRecord.position = last ?? position;
  rowsRecord.rows = rows;
  // More than there are rows: all at one position.
  rowsRecord.group = last === undefined ? group : ALL_ROWS;
  rowsRecord.queries = cache.kind === "f32" ? queries : quantised;
  rowsRecord.stride = stride;
  rowsRecord.peaks = peaks;
  rowsRecord.work = peaks + PEAKS;
  rowsRecord.thresholds = peaks + PEAKS / 2;
  rowsRecord.selection = grid ? grid.address + slot * grid.stride + grid.selection : 0;
  const stage = slice.work === "decode" ? 1 : 0;
  rowsRecord.counters = cache.counters + productCounters(cache.layers * kvHeads, stage, slot, counted);
  rowsRecord.window = unit.window;
  QueryRows.write(thread.view(), address, rowsRecord);
  return address;
}

/** Quantises the queries of a unit into the thread's scratch, on the grid where there is one, and writes its record. */
function prepare(thread: Thread, unit: Unit): void {
  const { queries } = unit;
  const { cache } = unit.slice;
  const { kernels } = thread;
  const { headDim, heads, kvHeads, grid } = cache;
  const group = heads / kvHeads;
  const address = describe(thread, unit);
  if (cache.kind === "f32") return;
  const { queries: quantised, rows, slot, stride } = rowsRecord;
  const mapped = quantised + queriesBytes(headDim);
  if (grid) {
    const map = grid.address + slot * grid.stride + grid.queryMap;
    kernels.map_rows(mapped, queries, stride, rows, group, map, grid.matrix, headDim);
    kernels.attention_queries_int8(quantised, mapped, group * headDim * 4, rows, group, headDim, grid.matrix ? 0 : 1);
  } else kernels.attention_queries_int8(quantised, queries, stride, rows, group, headDim, 0);
  if (cache.valueCutoff > 0 || cache.selects)
    (cache.delta?.merges ? kernels.attention_peaks_runs : kernels.attention_peaks_int8)(address);
  if (cache.selects) kernels.attention_thresholds(address);
}

/** The range of keys from `start` for the queries of the unit prepared last; `fresh`: the states begin with it. */
function range(thread: Thread, { slice: { cache } }: Unit, states: number, start: number, fresh: boolean): void {
  const { attention_range_f32, attention_range_int8, attention_range_runs } = thread.kernels;
  const kernel =
    cache.kind === "f32" ? attention_range_f32 : cache.delta?.merges ? attention_range_runs : attention_range_int8;
  kernel(states, queryRowsAt(thread), start, fresh ? 1 : 0);
}
