import { share, type Thread } from "../runtime/thread.js";
import { productCounters } from "./counters.js";
import type { CacheDescriptor, RecordingDescriptor } from "./descriptor.js";
import { partBytes, RANGE, SAMPLE, stateBytes, unitTokens } from "./layout.js";
import { mappedBytes, PEAKS, queriesBytes, statesBytes, threadBytes } from "./scratch.js";

/**
 * Causal attention of `tokens` queries (after RoPE) at `position`…; every thread must call it, and a barrier must follow
 * before `out` is read. Threads share out KV heads × query tokens; a single query over several ranges of keys is shared
 * out by KV heads × ranges and merged after a barrier. Every split gives the same bits.
 * @param out, queries f32 [tokens][heads][headDim]; may not overlap
 * @param work what it is counted as
 */
export function attend(
  thread: Thread,
  cache: CacheDescriptor,
  layer: number,
  out: number,
  queries: number,
  tokens: number,
  position: number,
  scratch: number,
  work: "prefill" | "decode" = tokens === 1 ? "decode" : "prefill",
): void {
  const { heads, kvHeads, headDim } = cache;
  const group = heads / kvHeads;
  const stage = work === "decode" ? 1 : 0;
  const own = scratch + thread.index * threadBytes(headDim);
  if (cache.record !== undefined) record(thread, cache, cache.record, layer, queries, tokens, position);
  const ranges = Math.ceil((position + tokens) / RANGE);
  if (tokens === 1 && ranges > 1 && thread.count > 1) {
    const parts = scratch + thread.count * threadBytes(headDim);
    const partStride = group * stateBytes(headDim);
    let prepared = -1;
    const [start, end] = share(thread, kvHeads * ranges);
    for (let unit = start; unit < end; unit++) {
      const head = Math.floor(unit / ranges);
      if (head !== prepared) prepare(thread, cache, layer, own, queries, head, 1, position);
      prepared = head;
      const states = parts + unit * partStride;
      range(thread, cache, layer, states, own, queries, head, 1, position, (unit % ranges) * RANGE, true, stage);
    }
    thread.barrier();
    const [firstHead, endHead] = share(thread, kvHeads);
    for (let head = firstHead; head < endHead; head++) {
      const states = parts + head * ranges * partStride;
      thread.kernels.attention_merge(states, group, partStride, ranges, headDim);
      finish(thread, cache, out, states, head, 1);
    }
    return;
  }
  const most = unitTokens(group);
  const tiles = Math.ceil(tokens / most);
  const [start, end] = share(thread, kvHeads * tiles);
  for (let unit = start; unit < end; unit++) {
    const head = Math.floor(unit / tiles);
    const first = (unit % tiles) * most;
    const count = Math.min(most, tokens - first);
    const from = queries + first * heads * headDim * 4;
    prepare(thread, cache, layer, own, from, head, count, position + first);
    for (let key = 0; key < position + first + count; key += RANGE)
      range(thread, cache, layer, own, own, from, head, count, position + first, key, key === 0, stage);
    finish(thread, cache, out + first * heads * headDim * 4, own, head, count);
  }
}

function record(
  thread: Thread,
  cache: CacheDescriptor,
  recording: RecordingDescriptor,
  layer: number,
  queries: number,
  tokens: number,
  position: number,
): void {
  const { headDim, heads, kvHeads } = cache;
  const group = heads / kvHeads;
  const [start, end] = share(thread, kvHeads);
  for (let head = start; head < end; head++) {
    const index = layer * kvHeads + head;
    const from = queries + head * group * headDim * 4;
    const bytes = group * headDim * 4;
    const to = recording.moments + index * headDim * headDim * 4;
    thread.kernels.record_moments(to, from, bytes * kvHeads, tokens * group, group, headDim);
    const samples = recording.samples + index * recording.sampleBytes;
    for (let t = SAMPLE - 1 - (position % SAMPLE); t < tokens; t += SAMPLE) {
      const sample = Math.floor((position + t) / SAMPLE);
      thread.kernels.record_query(samples + sample * bytes, from + t * bytes * kvHeads, bytes);
    }
  }
}

/** Quantises the queries of a unit into the thread's scratch, on the grid where there is one. */
function prepare(
  thread: Thread,
  cache: CacheDescriptor,
  layer: number,
  own: number,
  queries: number,
  head: number,
  tokens: number,
  position: number,
): void {
  if (cache.kind === "f32") return;
  const { kernels } = thread;
  const { headDim, heads, kvHeads, grid } = cache;
  const group = heads / kvHeads;
  const rows = tokens * group;
  const index = layer * kvHeads + head;
  const from = queries + head * group * headDim * 4;
  const stride = heads * headDim * 4;
  const quantised = own + statesBytes(headDim);
  const mapped = quantised + queriesBytes(headDim);
  if (grid) {
    const map = grid.address + index * grid.stride + grid.queryMap;
    kernels.map_rows(mapped, from, stride, rows, group, map, grid.matrix, headDim);
    kernels.attention_queries_int8(quantised, mapped, group * headDim * 4, rows, group, headDim, grid.matrix ? 0 : 1);
  } else kernels.attention_queries_int8(quantised, from, stride, rows, group, headDim, 0);
  if (cache.valueCutoff > 0) {
    const peaks = mapped + mappedBytes(headDim);
    const kernel = cache.delta?.merges ? kernels.attention_peaks_runs : kernels.attention_peaks_int8;
    kernel(peaks, quantised, rows, position, peaks + PEAKS, cache.parameters, index);
  }
}

/** One range of keys for the queries of a unit. */
function range(
  thread: Thread,
  cache: CacheDescriptor,
  layer: number,
  states: number,
  own: number,
  queries: number,
  head: number,
  tokens: number,
  position: number,
  start: number,
  fresh: boolean,
  stage: 0 | 1,
): void {
  const { headDim, heads, kvHeads, keyTable, valueTable } = cache;
  const group = heads / kvHeads;
  const index = layer * kvHeads + head;
  const rows = tokens * group;
  const quantised = own + statesBytes(headDim);
  const peaks = quantised + queriesBytes(headDim) + mappedBytes(headDim);
  const work = peaks + PEAKS;
  if (cache.kind === "int8") {
    const counters = cache.counters + productCounters(cache.layers * kvHeads, stage, index, thread.index);
    const { attention_range_int8, attention_range_runs } = thread.kernels;
    (cache.delta?.merges ? attention_range_runs : attention_range_int8)(
      states,
      quantised,
      peaks,
      rows,
      position,
      work,
      cache.parameters,
      index,
      start,
      fresh ? 1 : 0,
      counters,
    );
    return;
  }
  const offset = index * partBytes(cache.kind, headDim);
  thread.kernels.attention_range_f32(
    states,
    queries + head * group * headDim * 4,
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

function finish(
  thread: Thread,
  cache: CacheDescriptor,
  out: number,
  states: number,
  head: number,
  tokens: number,
): void {
  const { heads, kvHeads, headDim } = cache;
  const group = heads / kvHeads;
  const to = out + head * group * headDim * 4;
  thread.kernels.attention_finish(to, heads * headDim * 4, states, tokens * group, group, headDim);
}
