import { MemoryError } from "../errors.js";
import type { CacheContent } from "./cache.js";
import { HeldPage } from "./held-page.js";
import { PAGE, SPAN } from "./layout.js";
import { growMerged, mergeSpansAgain, packSpan, spansMergedAt } from "./merge.js";
import { packReferences, unpackReferences } from "./pack-page.js";
import type { PageTable } from "./pages.js";
import { findReferences } from "./references.js";

/** Tokens for which whole keys are kept behind the window, so that a truncation by less costs no new prefill. */
const SLACK = 16;

/** Tokens a table has entries for: references are those of keys that have left the window of the last query. */
export function usedEntries(cache: CacheContent, table: PageTable, length: number): number {
  return table === cache.far && length > 0 ? cache.parts.policy.windowStart(length - 1) : length;
}

/**
 * Makes what the next key needs after `length` others: the references of the last, and unpacked the last page of those
 * outside the window. False when whole keys that are in the window again were dropped.
 */
export function walkBack(cache: CacheContent, length: number): boolean {
  const { progress } = cache;
  const { policy } = cache.parts;
  const window = length > 0 ? policy.windowStart(length - 1) : 0;
  const last = Math.ceil(window / PAGE) - 1;
  if (length === 0 || window < progress.dropped * PAGE || spansMergedAt(policy, length) < progress.freed) return false;
  if (last >= 0 && !cache.far?.page(last)) return false;
  try {
    if (last >= 0 && last < progress.packed) {
      unpackReferences(cache, last);
      progress.packed = last;
    }
    progress.packed = Math.min(progress.packed, Math.max(0, last));
    findReferences(cache, window, window, length);
    return true;
  } catch (error) {
    if (error instanceof MemoryError) return false;
    throw error;
  }
}

/** Gives the listener every page that the tokens after the first `before` have completed. */
export function offerPages(cache: CacheContent, before: number): void {
  if (!cache.onPage) return;
  for (let index = Math.floor(before / PAGE); (index + 1) * PAGE <= cache.progress.length; index++) {
    const page = new HeldPage(cache.parts.pool);
    page.offer("keys", cache.keys.page(index));
    page.offer("values", cache.values.page(index));
    cache.held[index] = page;
    cache.onPage(page, index);
  }
}

/**
 * Packs full pages of references, but never the one the next follows from, and drops whole keys that no coming query has
 * in its window.
 */
export function packPages(cache: CacheContent): void {
  const { progress } = cache;
  if (!cache.far) return;
  const { policy, contextLength } = cache.parts;
  const last = Math.ceil(usedEntries(cache, cache.far, progress.length) / PAGE) - 1;
  const next = Math.min(Math.max(progress.length - SLACK, 0), contextLength - 1);
  const window = Math.floor(policy.windowStart(next) / PAGE);
  try {
    for (; progress.packed < last; progress.packed++) {
      packReferences(cache, progress.packed);
      cache.held[progress.packed]?.offer("far", cache.far.page(progress.packed));
    }
  } catch (error) {
    // Packing only saves memory: without room for it the page stays whole for now.
    if (!(error instanceof MemoryError)) throw error;
  }
  for (; progress.dropped < Math.min(window, progress.packed); progress.dropped++)
    cache.keys.set(progress.dropped, undefined);
}

export function growSpans(cache: CacheContent, length: number): void {
  const { pool, config, policy } = cache.parts;
  if (!cache.merged) return;
  growMerged(cache.merged, pool, config.layers * config.kvHeads, config.headDim, spansMergedAt(policy, length));
}

/** Gives back the room merged spans did not need, then all of the spans no coming query needs key by key. */
export function packSpans(cache: CacheContent): void {
  const { progress } = cache;
  const { merged } = cache;
  if (!merged) return;
  const { policy } = cache.parts;
  try {
    for (const end = spansMergedAt(policy, progress.length); progress.packedSpans < end; progress.packedSpans++) {
      packSpan(cache, merged, progress.packedSpans);
      cache.held[(progress.packedSpans * SPAN) / PAGE]?.offer("merged", merged.page(progress.packedSpans));
    }
  } catch (error) {
    if (!(error instanceof MemoryError)) throw error;
  }
  const end = Math.min(progress.packedSpans, spansMergedAt(policy, progress.length - SLACK));
  for (; progress.freed < end && (progress.freed + 1) * SPAN <= progress.dropped * PAGE; progress.freed++)
    for (let page = (progress.freed * SPAN) / PAGE; page * PAGE < (progress.freed + 1) * SPAN; page++)
      for (const table of cache.tables) table.set(page, undefined);
}

/** After `restore`: the saved session may have had a larger or smaller window, and references of `far` keys. */
export function settle(cache: CacheContent, far: number): void {
  const { progress } = cache;
  if (!cache.far || progress.length === 0) return;
  const window = cache.parts.policy.windowStart(progress.length - 1);
  const last = Math.ceil(window / PAGE) - 1;
  if (last >= 0 && last < progress.packed) {
    unpackReferences(cache, last);
    progress.packed = last;
  }
  findReferences(cache, Math.min(far, window), window, progress.length);
  cache.far.shrink(Math.ceil(window / PAGE));
  progress.packed = Math.min(progress.packed, Math.max(0, last));
}

/** After `restore`: merges the spans that the saved session had key by key. @throws MemoryError */
export function mergeAgain(cache: CacheContent): void {
  const { progress } = cache;
  if (!cache.merged) return;
  mergeSpansAgain(cache, progress.freed, spansMergedAt(cache.parts.policy, progress.length));
  progress.packedSpans = progress.freed;
  packSpans(cache);
}
