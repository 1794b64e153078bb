import type { CacheContent } from "./cache.js";
import type { HeldPage } from "./held-page.js";
import { PAGE, SPAN } from "./layout.js";
import { mergeSpansAgain, spansMergedAt } from "./merge.js";
import { unpackReferences } from "./pack-page.js";
import type { PageTable, TableEntry } from "./pages.js";
import { growSpans, packPages, packSpans } from "./progress.js";
import { findReferences } from "./references.js";

/**
 * Makes an empty cache begin with as many of these pages as hold what its next key needs. @throws MemoryError with some of
 * them taken
 */
export function adoptPages(cache: CacheContent, pages: readonly HeldPage[]): void {
  const { policy, contextLength } = cache.parts;
  let count = Math.min(pages.length, Math.floor(contextLength / PAGE));
  for (; count > 0; count--) {
    const window = cache.far ? policy.windowStart(count * PAGE - 1) : 0;
    const references = Math.ceil(window / PAGE);
    // References are found anew from the first page that has none, and the last page of them must be whole.
    let packed = 0;
    while (packed < references && pages[packed]?.part("far")) packed++;
    const keysFrom = Math.max(0, Math.min(packed, Math.floor(window / PAGE), references - 1));
    const usable = (page: HeldPage, i: number) =>
      !page.released && page.part("values") && (i < keysFrom || page.part("keys"));
    const taken = pages.slice(0, count);
    if (!taken.every(usable)) continue;
    takePages(cache, taken, keysFrom, packed);
    followPages(cache, packed);
    mergePages(cache, taken);
    return;
  }
}

/** Shares keys from page `keysFrom` on, all values, and the references of the first `packed` pages. */
function takePages(cache: CacheContent, pages: readonly HeldPage[], keysFrom: number, packed: number): void {
  pages.forEach((page, i) => {
    put(cache, cache.keys, i, i < keysFrom ? undefined : page.part("keys"));
    put(cache, cache.values, i, page.part("values"));
    if (cache.far && i < packed) put(cache, cache.far, i, page.part("far"));
  });
  cache.progress.length = pages.length * PAGE;
  cache.progress.dropped = keysFrom;
  cache.held.push(...pages);
}

/** Makes the references that no page has, and that of the last key. */
function followPages(cache: CacheContent, packed: number): void {
  if (!cache.far) return;
  const { progress } = cache;
  const window = cache.parts.policy.windowStart(progress.length - 1);
  cache.far.grow(Math.ceil(window / PAGE));
  // A reference follows from that of the key before it, which must not be packed.
  progress.packed = Math.max(0, packed - 1);
  unpackReferences(cache, progress.packed);
  findReferences(cache, Math.min(packed * PAGE, window), window, progress.length);
  packPages(cache);
}

/** Takes merged spans where pages have them, and merges the others. */
function mergePages(cache: CacheContent, pages: readonly HeldPage[]): void {
  const { merged, progress } = cache;
  if (!merged) return;
  const spans = spansMergedAt(cache.parts.policy, progress.length);
  for (; progress.packedSpans < spans; progress.packedSpans++) {
    const span = pages[(progress.packedSpans * SPAN) / PAGE]?.part("merged");
    if (!span) break;
    put(cache, merged, progress.packedSpans, span);
  }
  growSpans(cache, progress.length);
  mergeSpansAgain(cache, progress.packedSpans, spans);
  packSpans(cache);
}

function put(cache: CacheContent, table: PageTable, index: number, entry: TableEntry | undefined): void {
  if (entry) cache.parts.pool.retain(entry.address);
  table.set(index, entry);
}
