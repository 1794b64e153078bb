import { MemoryError, SessionError } from "../errors.js";
import type { CacheContent, CacheParts, KeyValueCache } from "./cache.js";
import type { AttentionStats } from "./counters.js";
import { type CacheDescriptor, describeCache, swapReferences, writeParameters } from "./descriptor.js";
import { HeldPage } from "./held-page.js";
import { PAGE, SPAN } from "./layout.js";
import { growMerged, mergedRuns, mergeSpansAgain, packSpan, spansMergedAt } from "./merge.js";
import { packReferences, unpackReferences } from "./pack-page.js";
import type { PageTable } from "./pages.js";
import { findReferences } from "./references.js";
import { restoreCache, saveCache } from "./saved.js";
import { attentionStats } from "./stats.js";
import { allocateTables } from "./tables.js";

/** Tokens for which whole keys are kept behind the window, so that a truncation by less costs no new prefill. */
const SLACK = 16;

/**
 * A cache of pages of 64 tokens. Delta caches have a third table, of the references of keys that have left the window of
 * the last query; full pages of them are packed. Whole keys are dropped when they have left the window. In row grain spans
 * of 256 tokens are then merged: the runs replace keys, values and references.
 */
export class PageCache implements KeyValueCache, CacheContent {
  readonly descriptor: CacheDescriptor;
  readonly parts: CacheParts;
  readonly keys: PageTable;
  readonly values: PageTable;
  readonly far: PageTable | undefined;
  /** Merged spans. The forward pass in which a query first needs one fills it; `commit` packs it. */
  readonly merged: PageTable | undefined;
  readonly #owned: number;
  readonly #record: number | undefined;
  #length = 0;
  /** Pages, from the first, whose references are packed. */
  #packedPages = 0;
  /** Pages, from the first, whose whole keys were dropped. */
  #dropped = 0;
  /** Spans, from the first, that were packed. */
  #packedSpans = 0;
  /** Spans of which only the runs are left. */
  #freed = 0;
  #disposed = false;
  onPage: ((page: HeldPage, index: number) => void) | undefined;
  /** Pages that are held elsewhere too, by index. */
  #held: (HeldPage | undefined)[] = [];

  constructor(parts: CacheParts) {
    const { pool, constants } = parts;
    this.parts = parts;
    const { keys, values, far, merged, owned, record } = allocateTables(parts);
    this.keys = keys;
    this.values = values;
    this.far = far;
    this.merged = merged;
    this.#owned = owned;
    this.#record = record;
    pool.retain(constants.page.address);
    writeParameters(parts, this, this.#owned);
    this.descriptor = describeCache(parts, this, this.#owned, this.#record);
  }

  get length(): number {
    return this.#length;
  }
  get keyBytes(): number {
    return this.keys.bytes + (this.far?.bytes ?? 0) + this.#mergedKeyBytes;
  }
  get valueBytes(): number {
    return this.values.bytes + (this.merged?.bytes ?? 0) - this.#mergedKeyBytes;
  }
  get #mergedKeyBytes(): number {
    return mergedRuns(this, this.#packedSpans) * this.parts.config.headDim;
  }
  /** Spans of which keys, values and references are gone. */
  get freedSpans(): number {
    return this.#freed;
  }
  /** Tables of one page per 64 tokens. */
  get tables(): PageTable[] {
    return this.far ? [this.keys, this.values, this.far] : [this.keys, this.values];
  }

  reserve(tokens: number): void {
    this.#alive();
    const { contextLength } = this.parts;
    const length = this.#length + tokens;
    if (!Number.isInteger(tokens) || tokens < 0 || length > contextLength)
      throw new SessionError(
        `${tokens} more tokens do not fit: ${this.#length} of ${contextLength} are used`,
        {},
        "Start a new session, truncate this one, or load the model with a longer contextLength",
      );
    const before = this.tables.map((table) => table.count);
    const spans = this.merged?.count ?? 0;
    try {
      this.#growMerged(length);
      for (const table of this.tables) {
        const used = this.#used(table, this.#length);
        if (tokens > 0 && used % PAGE) table.own(Math.floor(used / PAGE));
        table.grow(Math.ceil(this.#used(table, length) / PAGE));
      }
    } catch (error) {
      this.tables.forEach((table, i) => {
        table.shrink(before[i] as number);
      });
      this.merged?.shrink(spans);
      throw error;
    }
  }

  /** Tokens a table has entries for: references are those of keys that have left the window of the last query. */
  #used(table: PageTable, length: number): number {
    return table === this.far && length > 0 ? this.parts.policy.windowStart(length - 1) : length;
  }

  commit(tokens: number): void {
    this.#alive();
    if (!(tokens >= 0) || this.#length + tokens > this.values.count * PAGE)
      throw new SessionError(`${tokens} tokens were committed without room for them`, {}, "Reserve them first");
    const before = this.#length;
    this.#length += tokens;
    if (tokens > 0 && this.far) swapReferences(this.parts, this.#owned);
    this.#offerPages(before);
    this.#packPages();
    this.#packSpans();
  }

  truncate(length: number): number {
    this.#alive();
    if (!Number.isInteger(length) || length < 0)
      throw new SessionError(`A cache cannot be truncated to ${length} tokens`);
    const { policy } = this.parts;
    let kept = Math.min(length, this.#length);
    if (kept < this.#length && this.far && !this.#walkBack(kept)) kept = 0;
    this.#length = kept;
    if (kept === 0) this.#dropped = this.#packedPages = this.#freed = 0;
    this.#held.length = Math.min(this.#held.length, Math.floor(kept / PAGE));
    for (const table of this.tables) table.shrink(Math.ceil(this.#used(table, kept) / PAGE));
    const spans = spansMergedAt(policy, kept);
    this.merged?.shrink(spans);
    this.#packedSpans = Math.min(this.#packedSpans, spans);
    return kept;
  }

  /**
   * Makes what the next key needs after `length` others: the references of the last, and unpacked the last page of those
   * outside the window. False when whole keys that are in the window again were dropped.
   */
  #walkBack(length: number): boolean {
    const { policy } = this.parts;
    const window = length > 0 ? policy.windowStart(length - 1) : 0;
    const last = Math.ceil(window / PAGE) - 1;
    if (length === 0 || window < this.#dropped * PAGE || spansMergedAt(policy, length) < this.#freed) return false;
    if (last >= 0 && !this.far?.page(last)) return false;
    try {
      if (last >= 0 && last < this.#packedPages) {
        unpackReferences(this, last);
        this.#packedPages = last;
      }
      this.#packedPages = Math.min(this.#packedPages, Math.max(0, last));
      findReferences(this, window, window, length);
      return true;
    } catch (error) {
      if (error instanceof MemoryError) return false;
      throw error;
    }
  }

  fork(): KeyValueCache {
    this.#alive();
    const copy = new PageCache(this.parts);
    this.tables.forEach((table, i) => {
      (copy.tables[i] as PageTable).shareWith(table);
    });
    if (this.merged) copy.merged?.shareWith(this.merged);
    copy.#length = this.#length;
    copy.#packedPages = this.#packedPages;
    copy.#dropped = this.#dropped;
    copy.#packedSpans = this.#packedSpans;
    copy.#freed = this.#freed;
    copy.#held = [...this.#held];
    try {
      copy.truncate(this.#length);
      for (const table of copy.tables) {
        const used = copy.#used(table, this.#length);
        if (used % PAGE) table.own(Math.floor(used / PAGE));
      }
      const window = this.far ? this.#used(this.far, this.#length) : 0;
      findReferences(copy, window, window, this.#length);
    } catch (error) {
      copy.dispose();
      throw error;
    }
    return copy;
  }

  adopt(pages: readonly HeldPage[]): number {
    this.#alive();
    if (this.#length > 0) throw new SessionError("Only an empty cache can begin with pages of another");
    const { policy, contextLength } = this.parts;
    let count = Math.min(pages.length, Math.floor(contextLength / PAGE));
    for (; count > 0; count--) {
      const window = this.far ? policy.windowStart(count * PAGE - 1) : 0;
      const references = Math.ceil(window / PAGE);
      // References are found anew from the first page that has none, and those of the last must be whole.
      let from = 0;
      while (from < references && pages[from]?.part("far")) from++;
      const keysFrom = this.far ? Math.max(0, Math.min(from, Math.floor(window / PAGE), references - 1)) : 0;
      const usable = (page: HeldPage, i: number) =>
        !page.released && page.part("values") && (i < keysFrom || page.part("keys"));
      if (pages.slice(0, count).every(usable)) {
        this.#adopt(pages.slice(0, count), keysFrom, from, references);
        break;
      }
    }
    return this.#length;
  }

  #adopt(pages: readonly HeldPage[], keysFrom: number, packed: number, references: number): void {
    const { policy, pool } = this.parts;
    const put = (
      table: PageTable | undefined,
      index: number,
      page: HeldPage,
      part: "keys" | "values" | "far" | "merged",
    ) => {
      const entry = page.part(part);
      if (entry) pool.retain(entry.address);
      table?.set(index, entry);
    };
    const length = pages.length * PAGE;
    try {
      pages.forEach((page, i) => {
        if (i < keysFrom) this.keys.set(i, undefined);
        else put(this.keys, i, page, "keys");
        put(this.values, i, page, "values");
        if (i < packed) put(this.far, i, page, "far");
      });
      this.#length = length;
      this.#held = [...pages];
      if (!this.far) return;
      this.#dropped = keysFrom;
      this.far.grow(references);
      // The next reference follows from that of the key before it.
      this.#packedPages = Math.max(0, Math.min(packed, references) - 1);
      unpackReferences(this, this.#packedPages);
      const window = policy.windowStart(length - 1);
      findReferences(this, Math.min(packed * PAGE, window), window, length);
      this.#packPages();
      if (!this.merged) return;
      const spans = spansMergedAt(policy, length);
      for (; this.#packedSpans < spans; this.#packedSpans++) {
        const page = pages[(this.#packedSpans * SPAN) / PAGE];
        if (!page?.part("merged")) break;
        put(this.merged, this.#packedSpans, page, "merged");
      }
      this.#growMerged(length);
      mergeSpansAgain(this, this.#packedSpans, spans);
      this.#packSpans();
    } catch (error) {
      this.truncate(0);
      throw error;
    }
  }

  save(): Uint8Array<ArrayBuffer> {
    this.#alive();
    return saveCache(this);
  }

  restore(bytes: Uint8Array): void {
    this.#alive();
    let changed = false;
    let far = 0;
    try {
      restoreCache(this, bytes, (saved) => {
        changed = true;
        this.truncate(0);
        this.reserve(saved.length);
        this.far?.grow(Math.ceil(saved.far / PAGE));
        this.#length = saved.length;
        this.#packedPages = saved.packed;
        this.#dropped = saved.dropped;
        this.#freed = saved.freed;
        far = saved.far;
      });
      this.#settle(far);
      this.#mergeAgain();
    } catch (error) {
      if (changed) this.truncate(0);
      throw error;
    }
  }

  stats(): AttentionStats {
    this.#alive();
    return attentionStats(this);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#held = [];
    this.onPage = undefined;
    for (const table of this.tables) table.dispose();
    this.merged?.dispose();
    this.parts.pool.release(this.#owned);
    if (this.#record !== undefined) this.parts.pool.release(this.#record);
    this.parts.pool.release(this.parts.constants.page.address);
  }

  /** After `restore`: the saved session may have had a larger or smaller window, and references of `far` keys. */
  #settle(far: number): void {
    if (!this.far || this.#length === 0) return;
    const window = this.parts.policy.windowStart(this.#length - 1);
    const last = Math.ceil(window / PAGE) - 1;
    if (last >= 0 && last < this.#packedPages) {
      unpackReferences(this, last);
      this.#packedPages = last;
    }
    findReferences(this, Math.min(far, window), window, this.#length);
    this.far.shrink(Math.ceil(window / PAGE));
    this.#packedPages = Math.min(this.#packedPages, Math.max(0, last));
  }

  /**
   * Packs full pages of references, but never the one the next follows from, and drops whole keys that no coming query has
   * in its window.
   */
  #packPages(): void {
    if (!this.far) return;
    const { policy, contextLength } = this.parts;
    const last = Math.ceil(this.#used(this.far, this.#length) / PAGE) - 1;
    const next = Math.min(Math.max(this.#length - SLACK, 0), contextLength - 1);
    const window = Math.floor(policy.windowStart(next) / PAGE);
    try {
      for (; this.#packedPages < last; this.#packedPages++) {
        packReferences(this, this.#packedPages);
        this.#held[this.#packedPages]?.offer("far", this.far.page(this.#packedPages));
      }
    } catch (error) {
      // Packing only saves memory: without room for it the page stays whole for now.
      if (!(error instanceof MemoryError)) throw error;
    }
    for (; this.#dropped < Math.min(window, this.#packedPages); this.#dropped++)
      this.keys.set(this.#dropped, undefined);
  }

  /** Gives the listener every page that the tokens after the first `before` have completed. */
  #offerPages(before: number): void {
    if (!this.onPage) return;
    for (let index = Math.floor(before / PAGE); (index + 1) * PAGE <= this.#length; index++) {
      const page = new HeldPage(this.parts.pool);
      page.offer("keys", this.keys.page(index));
      page.offer("values", this.values.page(index));
      this.#held[index] = page;
      this.onPage(page, index);
    }
  }

  #growMerged(length: number): void {
    const { pool, config, policy } = this.parts;
    if (!this.merged) return;
    growMerged(this.merged, pool, config.layers * config.kvHeads, config.headDim, spansMergedAt(policy, length));
  }

  /** Gives back the room merged spans did not need, then all of the spans no coming query needs key by key. */
  #packSpans(): void {
    const { merged } = this;
    if (!merged) return;
    const { policy } = this.parts;
    try {
      for (const end = spansMergedAt(policy, this.#length); this.#packedSpans < end; this.#packedSpans++) {
        packSpan(this, merged, this.#packedSpans);
        this.#held[(this.#packedSpans * SPAN) / PAGE]?.offer("merged", merged.page(this.#packedSpans));
      }
    } catch (error) {
      if (!(error instanceof MemoryError)) throw error;
    }
    const end = Math.min(this.#packedSpans, spansMergedAt(policy, this.#length - SLACK));
    for (; this.#freed < end && (this.#freed + 1) * SPAN <= this.#dropped * PAGE; this.#freed++)
      for (let page = (this.#freed * SPAN) / PAGE; page * PAGE < (this.#freed + 1) * SPAN; page++)
        for (const table of this.tables) table.set(page, undefined);
  }

  /** After `restore`: merges the spans that the saved session had key by key. @throws MemoryError */
  #mergeAgain(): void {
    if (!this.merged) return;
    mergeSpansAgain(this, this.#freed, spansMergedAt(this.parts.policy, this.#length));
    this.#packedSpans = this.#freed;
    this.#packSpans();
  }

  #alive(): void {
    if (this.#disposed) throw new SessionError("The session was disposed", {}, "Create a new one");
  }
}
