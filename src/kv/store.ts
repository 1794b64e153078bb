import { NewKeys } from "../kernels/generated.js";
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
  for (let head = Math.floor(start / tokens), heads = 1; head * tokens < end; head += heads) {
    const first = Math.max(start - head * tokens, 0);
    const count = Math.min(end - head * tokens, tokens) - first;
    const from = first * stride + head * headDim * 4;
    // Whole heads together, but for those of which each has its own grid.
    heads = count === tokens && (delta || !cache.grid) ? Math.floor(end / tokens) - head : 1;
    const some = count === tokens ? slice : { ...slice, position: position + first, tokens: count };
    if (!delta) storeKeys(thread, some, layer * kvHeads + head, keys + from, { work, heads });
    const offset = (layer * kvHeads + head) * part;
    storeValues(cache.valueTable, offset, values + from, stride, count, position + first, headDim, heads);
  }
  if (!delta) return;
  // A key's reference depends on the one before it: one thread walks all tokens of a head.
  const [firstHead, endHead] = share(thread, kvHeads);
  for (let head = firstHead; head < endHead; head++) {
    const slot = layer * kvHeads + head;
    storeDeltaKeys(thread, slice, slot, keys + head * headDim * 4, work);
    if (delta.merges) mergeNewSpans(thread, slice, delta, slot, work);
  }
}

/** Merges the spans that a query among these tokens is the first to take merged; this thread has stored all of the head. */
function mergeNewSpans(
  { kernels }: Thread,
  { cache: { record }, position, tokens }: CacheSlice,
  { squaredThresholds }: DeltaDescriptor,
  slot: number,
  work: number,
): void {
  const end = kernels.merged_spans(record, position + tokens - 1);
  for (let span = kernels.merged_spans(record, position - 1); span < end; span++)
    kernels.cache_merge_span(record, slot, span, (squaredThresholds[slot] as number) > 0 ? 1 : 0, work);
}

function storeKeys(
  thread: Thread,
  slice: CacheSlice,
  slot: number,
  keys: number,
  { work, heads }: { work: number; heads: number },
): void {
  const { kernels } = thread;
  const { cache, position, tokens } = slice;
  const { keyTable, headDim, kvHeads, grid } = cache;
  if (grid) {
    writeKeys(thread, slice, slot, keys, work);
    kernels.cache_store_keys_grid(newKeysAt(thread));
    return;
  }
  const offset = slot * partBytes(cache.kind, headDim);
  const store = cache.kind === "f32" ? kernels.cache_store_f32 : kernels.cache_store_keys_int8;
  store(keyTable, offset, keys, kvHeads * headDim * 4, tokens, position, headDim, heads);
}

function storeDeltaKeys(thread: Thread, slice: CacheSlice, slot: number, keys: number, work: number): void {
  const { kernels } = thread;
  const { record } = slice.cache;
  const { position, tokens } = slice;
  const added = newKeysAt(thread);
  writeKeys(thread, slice, slot, keys, work);
  kernels.cache_store_keys_delta(added);
  const [from, to] = [kernels.far_keys(record, position - 1), kernels.far_keys(record, position + tokens - 1)];
  kernels.cache_store_references(added, from, to);
}

/** Where a thread keeps the record of new keys. */
const newKeysAt = (thread: Thread) => thread.records;

function writeKeys(
  thread: Thread,
  { cache, position, tokens, work: kind }: CacheSlice,
  slot: number,
  keys: number,
  work: number,
): void {
  const { grid, delta, layers, kvHeads, headDim } = cache;
  if (!grid) throw new Error("keys on a grid without one");
  const map = grid.address + slot * grid.stride;
  NewKeys.write(thread.view(), newKeysAt(thread), {
    cache: cache.record,
    slot,
    position,
    tokens,
    keys,
    stride: kvHeads * headDim * 4,
    map,
    matrix: grid.matrix,
    limits: map + grid.limits,
    squares: map + grid.squares,
    limit: delta?.squaredThresholds[slot] ?? 0,
    counters: cache.counters + keyCounters(layers * kvHeads, kind === "decode" ? 1 : 0, slot),
    work,
  });
}
