import { SAMPLE } from "../calibration/calibration.js";
import { productCounters } from "../kv/counters.js";
import type { RecordingDescriptor } from "../kv/descriptor.js";
import { partBytes, RANGE, stateBytes, unitTokens } from "../kv/layout.js";
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
  if (cache.record !== undefined) record(thread, slice, cache.record, layer, queries);
  const ranges = Math.ceil((position + tokens) / RANGE);
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
      range(thread, unit, parts + part * partStride, (part % ranges) * RANGE, true);
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
  const most = unitTokens(group);
  const tiles = Math.ceil(tokens / most);
  const [start, end] = share(thread, kvHeads * tiles);
  for (let portion = start; portion < end; portion++) {
    const head = Math.floor(portion / tiles);
    const first = (portion % tiles) * most;
    const some = { ...slice, position: position + first, tokens: Math.min(most, tokens - first) };
    const at = first * heads * headDim * 4 + head * headBytes;
    const unit = { slice: some, layer, head, own, queries: queries + at };
    prepare(thread, unit);
    for (let key = 0; key < some.position + some.tokens; key += RANGE) range(thread, unit, own, key, key === 0);
    thread.kernels.attention_finish(out + at, heads * headDim * 4, own, some.tokens * group, group, headDim);
  }
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
}

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

/** Quantises the queries of a unit into the thread's scratch, on the grid where there is one. */
function prepare({ kernels }: Thread, { slice, layer, head, own, queries }: Unit): void {
  const { cache, tokens, position } = slice;
  if (cache.kind === "f32") return;
  const { headDim, heads, kvHeads, grid } = cache;
  const group = heads / kvHeads;
  const rows = tokens * group;
  const slot = layer * kvHeads + head;
  const stride = heads * headDim * 4;
  const quantised = own + statesBytes(headDim);
  const mapped = quantised + queriesBytes(headDim);
  if (grid) {
    const map = grid.address + slot * grid.stride + grid.queryMap;
    kernels.map_rows(mapped, queries, stride, rows, group, map, grid.matrix, headDim);
    kernels.attention_queries_int8(quantised, mapped, group * headDim * 4, rows, group, headDim, grid.matrix ? 0 : 1);
  } else kernels.attention_queries_int8(quantised, queries, stride, rows, group, headDim, 0);
  if (cache.valueCutoff > 0) {
    const peaks = mapped + mappedBytes(headDim);
    const kernel = cache.delta?.merges ? kernels.attention_peaks_runs : kernels.attention_peaks_int8;
    kernel(peaks, quantised, rows, position, peaks + PEAKS, cache.parameters, slot);
  }
}

/** The range of keys from `start` for the queries of a unit; `fresh`: the states begin with it. */
function range(thread: Thread, unit: Unit, states: number, start: number, fresh: boolean): void {
  const { slice, layer, own, queries } = unit;
  const { cache, tokens, position } = slice;
  const { headDim, heads, kvHeads, keyTable, valueTable } = cache;
  const group = heads / kvHeads;
  const slot = layer * kvHeads + unit.head;
  const rows = tokens * group;
  const quantised = own + statesBytes(headDim);
  const peaks = quantised + queriesBytes(headDim) + mappedBytes(headDim);
  const work = peaks + PEAKS;
  if (cache.kind === "int8") {
    const stage = slice.work === "decode" ? 1 : 0;
    const counted = thread.index % cache.countedThreads;
    const counters = cache.counters + productCounters(cache.layers * kvHeads, stage, slot, counted);
    const { attention_range_int8, attention_range_runs } = thread.kernels;
    (cache.delta?.merges ? attention_range_runs : attention_range_int8)(
      states,
      quantised,
      peaks,
      rows,
      position,
      work,
      cache.parameters,
      slot,
      start,
      fresh ? 1 : 0,
      counters,
    );
    return;
  }
  const offset = slot * partBytes(cache.kind, headDim);
  thread.kernels.attention_range_f32(
    states,
    queries,
    heads * headDim * 4,
    rows,
    group,
    position,
    work,
    keyTable,
    offset,
    valueTable,
    offset,
    start,
    fresh ? 1 : 0,
    headDim,
  );
}
