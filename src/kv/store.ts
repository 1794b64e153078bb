import { share, type Thread } from "../threads/thread.js";
import { keyCounters } from "./counters.js";
import type { DeltaDescriptor } from "./descriptor.js";
import { partBytes } from "./layout.js";
import type { CacheSlice } from "./slice.js";

/**
 * Stores the keys (after RoPE) and values of the tokens of a slice; every thread takes its portion. A barrier must follow
 * before `attend`.
 * @param keys, values f32 [tokens][kvHeads][headDim]
 * @param work this thread's own work area, see `attentionWork`
 */
export function storeKeysValues(
  thread: Thread,
  slice: CacheSlice,
  layer: number,
  keys: number,
  values: number,
  work: number,
): void {
  const { kernels } = thread;
  const { cache, tokens, position } = slice;
  const { kvHeads, headDim, delta } = cache;
  const part = partBytes(cache.kind, headDim);
  const storeValues = cache.kind === "f32" ? kernels.cache_store_f32 : kernels.cache_store_values_int8;
  const stride = kvHeads * headDim * 4;
  const [start, end] = share(thread, kvHeads * tokens, delta?.merges ? tokens : 1);
  for (let head = Math.floor(start / tokens); head * tokens < end; head++) {
    const first = Math.max(start - head * tokens, 0);
    const count = Math.min(end - head * tokens, tokens) - first;
    const from = first * stride + head * headDim * 4;
    const some = { ...slice, position: position + first, tokens: count };
    if (!delta) storeKeys(thread, some, layer * kvHeads + head, keys + from, work);
    const offset = (layer * kvHeads + head) * part;
    storeValues(cache.valueTable, offset, values + from, stride, count, position + first, headDim);
  }
  if (!delta) return;
  // A key's reference depends on the one before it: one thread walks all tokens of a head.
  const [firstHead, endHead] = share(thread, kvHeads);
  for (let head = firstHead; head < endHead; head++) {
    const slot = layer * kvHeads + head;
    storeDeltaKeys(thread, slice, delta, slot, keys + head * headDim * 4, work);
    if (delta.merges) mergeNewSpans(thread, slice, delta, slot, work);
  }
}

/** Merges the spans that a query among these tokens is the first to take merged; this thread has stored all of the head. */
function mergeNewSpans(
  { kernels }: Thread,
  { cache: { parameters }, position, tokens }: CacheSlice,
  { limits }: DeltaDescriptor,
  slot: number,
  work: number,
): void {
  const end = kernels.merged_spans(parameters, position + tokens - 1);
  for (let span = kernels.merged_spans(parameters, position - 1); span < end; span++)
    kernels.cache_merge_span(parameters, slot, span, (limits[slot] as number) > 0 ? 1 : 0, work);
}

function storeKeys({ kernels }: Thread, slice: CacheSlice, slot: number, keys: number, work: number): void {
  const { cache, position, tokens } = slice;
  const { keyTable, headDim, kvHeads, grid } = cache;
  const stride = kvHeads * headDim * 4;
  const offset = slot * partBytes(cache.kind, headDim);
  if (!grid) {
    const store = cache.kind === "f32" ? kernels.cache_store_f32 : kernels.cache_store_keys_int8;
    store(keyTable, offset, keys, stride, tokens, position, headDim);
    return;
  }
  const map = grid.address + slot * grid.stride;
  kernels.cache_store_keys_grid(keyTable, offset, keys, stride, tokens, position, headDim, map, grid.matrix, work);
}

function storeDeltaKeys(
  { kernels }: Thread,
  { cache, position, tokens, work: kind }: CacheSlice,
  delta: DeltaDescriptor,
  slot: number,
  keys: number,
  work: number,
): void {
  const { parameters, grid, headDim, kvHeads } = cache;
  if (!grid) throw new Error("delta attention without a grid");
  const map = grid.address + slot * grid.stride;
  const [limits, squares, limit] = [map + grid.limits, map + grid.squares, delta.limits[slot] as number];
  kernels.cache_store_keys_delta(
    parameters,
    slot,
    keys,
    kvHeads * headDim * 4,
    tokens,
    position,
    map,
    grid.matrix,
    limits,
    squares,
    limit,
    cache.counters + keyCounters(cache.layers * kvHeads, kind === "decode" ? 1 : 0, slot),
    work,
  );
  const [from, to] = [kernels.far_keys(parameters, position - 1), kernels.far_keys(parameters, position + tokens - 1)];
  kernels.cache_store_references(parameters, slot, from, to, limits, squares, limit, work);
}
