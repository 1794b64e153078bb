import { share, type Thread } from "../runtime/thread.js";
import { keyCounters } from "./counters.js";
import type { CacheDescriptor, DeltaDescriptor } from "./descriptor.js";
import { partBytes } from "./layout.js";
import { threadBytes } from "./scratch.js";

/**
 * Stores the keys (after RoPE) and values of new tokens; every thread takes its share. A barrier must follow before `attend`.
 * @param keys, values f32 [tokens][kvHeads][headDim]
 * @param position of the first of them
 * @param stage what they are counted as
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
  stage: "prefill" | "decode" = tokens === 1 ? "decode" : "prefill",
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
    if (!delta) storeKeys(thread, cache, layer, head, keys + from, stride, count, position + first, work, stage);
    storeValues(cache.valueTable, offset, values + from, stride, count, position + first, headDim);
  }
  if (!delta) return;
  // A key's reference depends on the one before it: one thread walks all tokens of a head.
  const [firstHead, endHead] = share(thread, kvHeads);
  for (let head = firstHead; head < endHead; head++) {
    storeKeys(thread, cache, layer, head, keys + head * headDim * 4, stride, tokens, position, work, stage);
    if (delta.merges) mergeNewSpans(thread, cache, delta, layer * kvHeads + head, tokens, position, work);
  }
}

/** Merges the spans that a query among these tokens is the first to take merged; this thread has stored all of the head. */
function mergeNewSpans(
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
  stage: "prefill" | "decode",
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
  const { parameters } = cache;
  const [limits, squares, limit] = [map + grid.limits, map + grid.squares, delta.limits[index] as number];
  const counters = cache.counters + keyCounters(cache.layers * kvHeads, stage === "decode" ? 1 : 0, index);
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
