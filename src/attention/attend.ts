import type { ModelConfig } from "../model/config.js";
import { share, type Thread } from "../runtime/thread.js";
import { keyCounters, productCounters } from "./counters.js";
import type { CacheDescriptor, DeltaDescriptor } from "./descriptor.js";
import { partBytes, RANGE, ROWS, stateBytes, unitTokens } from "./layout.js";

const round64 = (bytes: number) => Math.ceil(bytes / 64) * 64;

// A thread's scratch: states, quantised query rows, mapped query rows, peaks, and the work area of the kernels.
const statesBytes = (d: number) => round64(ROWS * stateBytes(d));
const queriesBytes = (d: number) => round64(ROWS * (2 * d + 16));
const mappedBytes = (d: number) => round64(ROWS * d * 4);
const PEAKS = ROWS * 4;
/** An upper bound of `attention_work_bytes`. */
const workBytes = (d: number) => round64(18 * 1024 + 548 * d);
const threadBytes = (d: number) => statesBytes(d) + queriesBytes(d) + mappedBytes(d) + PEAKS + workBytes(d);

/** Bytes of the scratch area that all threads share in `storeKeysValues` and `attend`. */
export function attentionScratchBytes(
  config: Pick<ModelConfig, "heads" | "headDim">,
  contextLength: number,
  threads: number,
): number {
  const ranges = Math.ceil(contextLength / RANGE);
  return threads * threadBytes(config.headDim) + round64(config.heads * ranges * stateBytes(config.headDim));
}

/**
 * Stores the keys (after RoPE) and values of new tokens; every thread takes its share. A barrier must follow before `attend`.
 * @param keys, values f32 [tokens][kvHeads][headDim]
 * @param position of the first of them
 */
export function storeKeysValues(
  thread: Thread,
  cache: CacheDescriptor,
  layer: number,
  keys: number,
  values: number,
  tokens: number,
  position: number,
  scratch: number,
): void {
  const { kernels } = thread;
  const { kvHeads, headDim, delta } = cache;
  const part = partBytes(cache.kind, headDim);
  const storeValues = cache.kind === "f32" ? kernels.cache_store_f32 : kernels.cache_store_values_int8;
  const stride = kvHeads * headDim * 4;
  const work = scratch + thread.index * threadBytes(headDim);
  const [start, end] = share(thread, kvHeads * tokens, delta?.merges ? tokens : 1);
  for (let head = Math.floor(start / tokens); head * tokens < end; head++) {
    const first = Math.max(start - head * tokens, 0);
    const count = Math.min(end - head * tokens, tokens) - first;
    const offset = (layer * kvHeads + head) * part;
    const from = first * stride + head * headDim * 4;
    if (!delta) storeKeys(thread, cache, layer, head, keys + from, stride, count, position + first, work);
    storeValues(cache.valueTable, offset, values + from, stride, count, position + first, headDim);
  }
  if (!delta) return;
  // A key's reference depends on the one before it: one thread walks all tokens of a head.
  const [firstHead, endHead] = share(thread, kvHeads);
  for (let head = firstHead; head < endHead; head++) {
    storeKeys(thread, cache, layer, head, keys + head * headDim * 4, stride, tokens, position, work);
    if (delta.merges) mergeSpans(thread, cache, delta, layer * kvHeads + head, tokens, position, work);
  }
}

/** Merges the spans that a query among these tokens is the first to take merged; this thread has stored all of the head. */
function mergeSpans(
  { kernels }: Thread,
  { parameters }: CacheDescriptor,
  { limits }: DeltaDescriptor,
  index: number,
  tokens: number,
  position: number,
  work: number,
): void {
  const end = kernels.merged_spans(parameters, position + tokens - 1);
  for (let span = kernels.merged_spans(parameters, position - 1); span < end; span++)
    kernels.cache_merge_span(parameters, index, span, (limits[index] as number) > 0 ? 1 : 0, work);
}

function storeKeys(
  thread: Thread,
  cache: CacheDescriptor,
  layer: number,
  head: number,
  keys: number,
  stride: number,
  tokens: number,
  position: number,
  work: number,
): void {
  const { kernels } = thread;
  const { keyTable, headDim, kvHeads, grid, delta } = cache;
  const index = layer * kvHeads + head;
  const offset = index * partBytes(cache.kind, headDim);
  if (!grid) {
    const store = cache.kind === "f32" ? kernels.cache_store_f32 : kernels.cache_store_keys_int8;
    store(keyTable, offset, keys, stride, tokens, position, headDim);
    return;
  }
  const map = grid.address + index * grid.stride;
  if (!delta) {
    kernels.cache_store_keys_grid(keyTable, offset, keys, stride, tokens, position, headDim, map, grid.matrix, work);
    return;
  }
  const stage = tokens === 1 ? 1 : 0;
  const { parameters } = cache;
  const [limits, squares, limit] = [map + grid.limits, map + grid.squares, delta.limits[index] as number];
  const counters = cache.counters + keyCounters(cache.layers * kvHeads, stage, index);
  kernels.cache_store_keys_delta(
    parameters,
    index,
    keys,
    stride,
    tokens,
    position,
    map,
    grid.matrix,
    limits,
    squares,
    limit,
    counters,
    work,
  );
  const [from, to] = [kernels.far_keys(parameters, position - 1), kernels.far_keys(parameters, position + tokens - 1)];
  kernels.cache_store_references(parameters, index, from, to, limits, squares, limit, work);
}

/**
 * Causal attention of `tokens` queries (after RoPE) at `position`…; every thread must call it, and a barrier must follow
 * before `out` is read. Threads share out KV heads × query tokens; a single query over several ranges of keys is shared
 * out by KV heads × ranges and merged after a barrier. Every split gives the same bits.
 * @param out, queries f32 [tokens][heads][headDim]; may not overlap
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
): void {
  const { heads, kvHeads, headDim } = cache;
  const group = heads / kvHeads;
  const stage = tokens === 1 ? 1 : 0;
  const own = scratch + thread.index * threadBytes(headDim);
  if (cache.record !== undefined) record(thread, cache, cache.record, layer, queries, tokens);
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
  sums: number,
  layer: number,
  queries: number,
  tokens: number,
): void {
  const { headDim, heads, kvHeads } = cache;
  const group = heads / kvHeads;
  const [start, end] = share(thread, kvHeads);
  for (let head = start; head < end; head++) {
    const to = sums + (layer * kvHeads + head) * headDim * headDim * 4;
    const from = queries + head * group * headDim * 4;
    thread.kernels.record_moments(to, from, heads * headDim * 4, tokens * group, group, headDim);
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
