import type { CacheContent } from "./cache.js";
import { PAGE, round16, SPAN } from "./layout.js";
import type { PagePool, PageTable } from "./pages.js";
import type { CachePolicy } from "./policy.js";

// Merged spans, see assembly/attention/merge.ts: u32 offsets [layers · kvHeads], then the parts.

const padded = (runs: number) => (runs + 7) & ~7;

/** Bytes of the part of one slot. */
function partBytes(headDim: number, runs: number): number {
  return 16 + padded(runs) * (2 * headDim + 8);
}

/** Whether a cache ever merges: row grain that drops something. */
export function merges(policy: CachePolicy): boolean {
  return policy.delta && policy.grain === 2 && policy.thresholds.some((theta) => theta > 0);
}

/** Spans that the last of `length` tokens, as a query, takes merged; as `merged_spans` of the kernels. */
export function spansMergedAt(policy: CachePolicy, length: number): number {
  return length < SPAN + PAGE ? 0 : Math.floor(Math.min(policy.windowStart(length - 1), length - PAGE) / SPAN);
}

/** Bytes of a span before it is merged, when every key may be a run. */
export function looseBytes(slots: number, headDim: number): number {
  return round16(slots * 4) + slots * partBytes(headDim, SPAN);
}

/** Makes room for the spans up to `count`, for the forward pass to merge. @throws MemoryError with some of it made */
export function growMerged(table: PageTable, pool: PagePool, slots: number, headDim: number, count: number): void {
  for (let span = table.count; span < count; span++) {
    table.grow(span + 1);
    const offsets = pool.memory.u32(table.page(span)?.address ?? 0, slots);
    for (let slot = 0; slot < slots; slot++) offsets[slot] = round16(slots * 4) + slot * partBytes(headDim, SPAN);
  }
}

/** Merges the spans `from` … `to` − 1 of a cache anew, all slots. @throws MemoryError */
export function mergeSpansAgain(cache: CacheContent, from: number, to: number): void {
  const { kernels, policy, pool } = cache.parts;
  const { record, headDim } = cache.descriptor;
  const work = pool.memory.alloc(6 * headDim + 64, "merging keys");
  try {
    for (let span = from; span < to; span++)
      policy.thresholds.forEach((theta, slot) => {
        kernels.cache_merge_span(record, slot, span, theta > 0 ? 1 : 0, work);
      });
  } finally {
    pool.memory.free(work);
  }
}

/** Gives back the room a merged span did not need. @throws MemoryError with nothing changed */
export function packSpan(cache: CacheContent, merged: PageTable, span: number): void {
  const { pool, config } = cache.parts;
  const packed = packMerged(merged.view(span), config.layers * config.kvHeads, config.headDim);
  const address = pool.take(packed.length);
  pool.memory.u8(address, packed.length).set(packed);
  merged.set(span, { address, bytes: packed.length, tag: 0 });
}

/** A merged span without the room its parts did not need. */
function packMerged(span: Uint8Array, slots: number, headDim: number): Uint8Array {
  const view = new DataView(span.buffer, span.byteOffset, span.byteLength);
  const offsets = Array.from({ length: slots }, (_, slot) => view.getUint32(slot * 4, true));
  const parts = offsets.map((at) => span.subarray(at, at + partBytes(headDim, view.getUint32(at, true))));
  const packed = new Uint8Array(parts.reduce((sum, part) => sum + part.length, round16(slots * 4)));
  const to = new DataView(packed.buffer);
  let end = round16(slots * 4);
  parts.forEach((part, slot) => {
    to.setUint32(slot * 4, end, true);
    packed.set(part, end);
    end += part.length;
  });
  return packed;
}

/** Whether bytes are a well-formed packed span: kernels may follow its offsets and counts without leaving it. */
export function isMergedPage(bytes: Uint8Array, slots: number, headDim: number): boolean {
  let end = round16(slots * 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let slot = 0; slot < slots; slot++) {
    if (end + 16 > bytes.length || view.getUint32(slot * 4, true) !== end) return false;
    const runs = view.getUint32(end, true);
    if (runs < 1 || runs > SPAN) return false;
    end += partBytes(headDim, runs);
  }
  return end === bytes.length;
}

/** Runs, rounded up, in the merged spans of a cache, all slots together; they take d + 4 bytes as keys. */
export function mergedRuns(cache: CacheContent, spans: number): number {
  const { config, pool } = cache.parts;
  const slots = config.layers * config.kvHeads;
  let runs = 0;
  for (let span = 0; span < spans; span++) {
    const { address = 0, bytes = 0 } = cache.merged?.page(span) ?? {};
    if (!bytes) continue;
    const words = pool.memory.u32(address, bytes / 4);
    for (let slot = 0; slot < slots; slot++) runs += padded(words[(words[slot] as number) / 4] as number);
  }
  return runs;
}
