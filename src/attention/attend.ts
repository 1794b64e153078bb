import type { ModelConfig } from "../model/config.js";
import { share, type Thread } from "../runtime/thread.js";
import type { CacheDescriptor } from "./cache.js";
import { partBytes, RANGE, ROWS, stateBytes, unitTokens } from "./layout.js";

const round64 = (bytes: number) => Math.ceil(bytes / 64) * 64;

/** Scratch of one thread: states, quantised query rows, and the work area of the kernels. */
function threadBytes(headDim: number): number {
  return statesBytes(headDim) + queriesBytes(headDim) + round64(12544 + 32 * headDim + 64);
}
const statesBytes = (headDim: number) => round64(ROWS * stateBytes(headDim));
const queriesBytes = (headDim: number) => round64(ROWS * (2 * headDim + 16));

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
  _scratch: number,
): void {
  const { kernels } = thread;
  const { kvHeads, headDim } = cache;
  const part = partBytes(cache.kind, headDim);
  const storeKeys = cache.kind === "f32" ? kernels.cache_store_f32 : kernels.cache_store_keys_int8;
  const storeValues = cache.kind === "f32" ? kernels.cache_store_f32 : kernels.cache_store_values_int8;
  const stride = kvHeads * headDim * 4;
  const [start, end] = share(thread, kvHeads * tokens);
  for (let head = Math.floor(start / tokens); head * tokens < end; head++) {
    const first = Math.max(start - head * tokens, 0);
    const count = Math.min(end - head * tokens, tokens) - first;
    const offset = (layer * kvHeads + head) * part;
    const from = first * stride + head * headDim * 4;
    storeKeys(cache.keyTable, offset, keys + from, stride, count, position + first, headDim);
    storeValues(cache.valueTable, offset, values + from, stride, count, position + first, headDim);
  }
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
  const own = scratch + thread.index * threadBytes(headDim);
  const ranges = Math.ceil((position + tokens) / RANGE);
  if (tokens === 1 && ranges > 1 && thread.count > 1) {
    const parts = scratch + thread.count * threadBytes(headDim);
    const partStride = group * stateBytes(headDim);
    let quantised = -1;
    const [start, end] = share(thread, kvHeads * ranges);
    for (let unit = start; unit < end; unit++) {
      const head = Math.floor(unit / ranges);
      if (head !== quantised) prepare(thread, cache, own, queries, head, 1);
      quantised = head;
      const states = parts + unit * partStride;
      range(thread, cache, layer, states, own, queries, head, 1, position, (unit % ranges) * RANGE, true);
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
    prepare(thread, cache, own, from, head, count);
    for (let key = 0; key < position + first + count; key += RANGE)
      range(thread, cache, layer, own, own, from, head, count, position + first, key, key === 0);
    finish(thread, cache, out + first * heads * headDim * 4, own, head, count);
  }
}

function prepare(
  thread: Thread,
  cache: CacheDescriptor,
  own: number,
  queries: number,
  head: number,
  tokens: number,
): void {
  if (cache.kind === "f32") return;
  const group = cache.heads / cache.kvHeads;
  thread.kernels.attention_queries_int8(
    own + statesBytes(cache.headDim),
    queries + head * group * cache.headDim * 4,
    cache.heads * cache.headDim * 4,
    tokens * group,
    group,
    cache.headDim,
  );
}

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
): void {
  const { headDim, heads, kvHeads, keyTable, valueTable } = cache;
  const group = heads / kvHeads;
  const offset = (layer * kvHeads + head) * partBytes(cache.kind, headDim);
  const rows = tokens * group;
  const quantised = own + statesBytes(headDim);
  const work = quantised + queriesBytes(headDim);
  if (cache.kind === "f32")
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
  else
    thread.kernels.attention_range_int8(
      states,
      quantised,
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
  const group = cache.heads / cache.kvHeads;
  const stride = cache.heads * cache.headDim * 4;
  thread.kernels.attention_finish(
    out + head * group * cache.headDim * 4,
    stride,
    states,
    tokens * group,
    group,
    cache.headDim,
  );
}
