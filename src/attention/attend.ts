import { QueryRows } from "../kernels/generated.js";
import { SAMPLE } from "../kv/calibration.js";
import { productCounters } from "../kv/counters.js";
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
  if (cache.recording) record(thread, slice, cache.recording, layer, queries);
  const seen = windowOf(cache, layer);
  const firstRange = seen ? Math.floor(Math.max(0, position + 1 - seen) / RANGE) : 0;
  const ranges = Math.ceil((position + tokens) / RANGE) - firstRange;
  const headBytes = group * headDim * 4;
  if (tokens === 1 && ranges > 1 && thread.count > 1) {
    const parts = scratch + thread.count * threadBytes(headDim);
    const partStride = group * stateBytes(headDim);
    let unit: Unit | undefined;
    const [start, end] = share(thread, kvHeads * ranges);
    for (let part = start; part < end; part++) {
      const head = Math.floor(part / ranges);
      if (unit?.head !== head) {
        unit = { slice, layer, head, own, queries: queries + head * headBytes };
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
  // A window around the query ends with another key for each.
  const around = slice.sees === "all" && seen > 0;
  const most = around ? 1 : unitTokens(group);
  const tiles = Math.ceil(tokens / most);
  const [start, end] = share(thread, kvHeads * tiles);
  for (let portion = start; portion < end; portion++) {
    const head = Math.floor(portion / tiles);
    const first = (portion % tiles) * most;
    const some = { ...slice, position: position + first, tokens: Math.min(most, tokens - first) };
    const at = first * heads * headDim * 4 + head * headBytes;
    const unit: Unit = { slice: some, layer, head, own, queries: queries + at, ...sight(slice, some.position, seen) };
    prepare(thread, unit);
    const { last = some.position + some.tokens - 1, window = seen } = unit;
    const begin = window ? Math.floor(Math.max(0, (unit.last ?? some.position) + 1 - window) / RANGE) * RANGE : 0;
    for (let key = begin; key <= last; key += RANGE) range(thread, unit, own, key, key === begin);
    thread.kernels.attention_finish(out + at, heads * headDim * 4, own, some.tokens * group, group, headDim);
  }
}

/** What a query at `at` sees of a slice whose tokens see each other: all, or `seen` / 2 keys on either side. */
function sight({ sees, position, tokens }: CacheSlice, at: number, seen: number): Pick<Unit, "last" | "window"> {
  if (sees !== "all") return {};
  const end = position + tokens - 1;
  if (!seen) return { last: end };
  const half = Math.floor(seen / 2);
  const last = Math.min(end, at + half);
  return { last, window: last - (at - half) + 1 };
}

/** Query tokens of one KV head that are computed together. */
interface Unit {
  readonly slice: CacheSlice;
  readonly layer: number;
  /** KV head. */
  readonly head: number;
  /** This thread's scratch. */
  readonly own: number;
  /** Address of the first query head of the group at the first token. */
  readonly queries: number;
  /** The one position all queries see up to, where they are not causal. */
  readonly last?: number | undefined;
  /** Keys seen up to `last`, where they are not as many as in the layer's causal window. */
  readonly window?: number | undefined;
}

/** A number no unit has rows. */
const ALL_ROWS = 2 ** 30;

function record(
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
      thread.kernels.record_query(samples + sample * bytes, from + t * bytes * kvHeads, bytes);
    }
  }
}

/** Keys a query of a layer sees, itself included; 0: all before it. */
function windowOf(cache: CacheDescriptor, layer: number): number {
  return cache.windows?.[layer] ?? 0;
}

/** Where a thread keeps the record of query rows. */
const queryRowsAt = (thread: Thread) => thread.records;

/** Quantises the queries of a unit into the thread's scratch, on the grid where there is one, and writes its record. */
function prepare(thread: Thread, { slice, layer, head, own, queries, last, window }: Unit): void {
  const { kernels } = thread;
  const { cache, tokens, position } = slice;
  const { headDim, heads, kvHeads, grid } = cache;
  const group = heads / kvHeads;
  const rows = tokens * group;
  const slot = layer * kvHeads + head;
  const stride = heads * headDim * 4;
  const quantised = own + statesBytes(headDim);
  const mapped = quantised + queriesBytes(headDim);
  const peaks = mapped + mappedBytes(headDim);
  const counted = thread.index % cache.countedThreads;
  const address = queryRowsAt(thread);
  QueryRows.write(thread.view(), address, {
    cache: cache.record,
    slot,
    position: last ?? position,
    rows,
    // More than there are rows: all at one position.
    group: last === undefined ? group : ALL_ROWS,
    queries: cache.kind === "f32" ? queries : quantised,
    stride,
    peaks,
    work: peaks + PEAKS,
    thresholds: peaks + PEAKS / 2,
    selection: grid ? grid.address + slot * grid.stride + grid.selection : 0,
    counters: cache.counters + productCounters(cache.layers * kvHeads, slice.work === "decode" ? 1 : 0, slot, counted),
    window: window ?? windowOf(cache, layer),
  });
  if (cache.kind === "f32") return;
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
