import { SessionError } from "../errors.js";
import { atOnce, type Steps } from "../platform/waiting.js";
import { adoptPages } from "./adopt.js";
import type { CacheContent, KeyValueCache, Progress } from "./cache.js";
import type { AttentionStats } from "./counters.js";
import { type CacheDescriptor, describeCache, swapReferences, writeRecord } from "./descriptor.js";
import type { HeldPage } from "./held-page.js";
import { PAGE } from "./layout.js";
import { mergedRuns, spansMergedAt } from "./merge.js";
import type { PageTable } from "./pages.js";
import type { CacheParts } from "./parts.js";
import { growSpans, mergeAgain, offerPages, packPages, packSpans, settle, usedEntries, walkBack } from "./progress.js";
import { findReferences } from "./references.js";
import { restoreCache, saveCache } from "./saved.js";
import { attentionStats } from "./stats.js";
import { allocateTables } from "./tables.js";

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
  readonly #recording: number | undefined;
  readonly progress: Progress = { length: 0, packed: 0, dropped: 0, packedSpans: 0, freed: 0 };
  readonly held: (HeldPage | undefined)[] = [];
  #disposed = false;
  onPage: ((page: HeldPage, index: number) => void) | undefined;

  constructor(parts: CacheParts) {
    const { pool, constants } = parts;
    this.parts = parts;
    const { keys, values, far, merged, owned, recording } = allocateTables(parts);
    this.keys = keys;
    this.values = values;
    this.far = far;
    this.merged = merged;
    this.#owned = owned;
    this.#recording = recording;
    pool.retain(constants.page.address);
    writeRecord(parts, this, this.#owned);
    this.descriptor = describeCache(parts, this, this.#owned, this.#recording);
  }

  get length(): number {
    return this.progress.length;
  }
  get keyBytes(): number {
    return this.keys.bytes + (this.far?.bytes ?? 0) + this.#mergedKeyBytes;
  }
  get valueBytes(): number {
    return this.values.bytes + (this.merged?.bytes ?? 0) - this.#mergedKeyBytes;
  }
  get #mergedKeyBytes(): number {
    return mergedRuns(this, this.progress.packedSpans) * this.parts.config.headDim;
  }
  /** Spans of which keys, values and references are gone. */
  get freedSpans(): number {
    return this.progress.freed;
  }
  /** Tables of one page per 64 tokens. */
  get tables(): PageTable[] {
    return this.far ? [this.keys, this.values, this.far] : [this.keys, this.values];
  }

  reserve(tokens: number): void {
    this.#alive();
    const { contextLength } = this.parts;
    const length = this.progress.length + tokens;
    if (!Number.isInteger(tokens) || tokens < 0 || length > contextLength)
      throw new SessionError(
        `${tokens} more tokens do not fit: ${this.progress.length} of ${contextLength} are used`,
        {},
        "Start a new session, truncate this one, or load the model with a longer contextLength",
      );
    const before = this.tables.map((table) => table.count);
    const spans = this.merged?.count ?? 0;
    try {
      growSpans(this, length);
      for (const table of this.tables) {
        const used = usedEntries(this, table, this.progress.length);
        if (tokens > 0 && used % PAGE) table.own(Math.floor(used / PAGE));
        table.grow(Math.ceil(usedEntries(this, table, length) / PAGE));
      }
    } catch (error) {
      this.tables.forEach((table, i) => {
        table.shrink(before[i] as number);
      });
      this.merged?.shrink(spans);
      throw error;
    }
  }

  commit(tokens: number): void {
    this.#alive();
    if (!(tokens >= 0) || this.progress.length + tokens > this.values.count * PAGE)
      throw new SessionError(`${tokens} tokens were committed without room for them`, {}, "Reserve them first");
    const before = this.progress.length;
    this.progress.length += tokens;
    if (tokens > 0 && this.far) swapReferences(this.parts, this.#owned);
    offerPages(this, before);
    packPages(this);
    packSpans(this);
  }

  truncate(length: number): number {
    this.#alive();
    if (!Number.isInteger(length) || length < 0)
      throw new SessionError(`A cache cannot be truncated to ${length} tokens`);
    const { policy } = this.parts;
    let kept = Math.min(length, this.progress.length);
    if (kept < this.progress.length && this.far && !walkBack(this, kept)) kept = 0;
    this.progress.length = kept;
    if (kept === 0) this.progress.dropped = this.progress.packed = this.progress.freed = 0;
    this.held.length = Math.min(this.held.length, Math.floor(kept / PAGE));
    for (const table of this.tables) table.shrink(Math.ceil(usedEntries(this, table, kept) / PAGE));
    const spans = spansMergedAt(policy, kept);
    this.merged?.shrink(spans);
    this.progress.packedSpans = Math.min(this.progress.packedSpans, spans);
    return kept;
  }

  fork(): KeyValueCache {
    this.#alive();
    const copy = new PageCache(this.parts);
    this.tables.forEach((table, i) => {
      (copy.tables[i] as PageTable).shareWith(table);
    });
    if (this.merged) copy.merged?.shareWith(this.merged);
    Object.assign(copy.progress, this.progress);
    copy.held.push(...this.held);
    try {
      copy.truncate(this.progress.length);
      for (const table of copy.tables) {
        const used = usedEntries(copy, table, this.progress.length);
        if (used % PAGE) table.own(Math.floor(used / PAGE));
      }
      const window = this.far ? usedEntries(this, this.far, this.progress.length) : 0;
      findReferences(copy, window, window, this.progress.length);
    } catch (error) {
      copy.dispose();
      throw error;
    }
    return copy;
  }

  adopt(pages: readonly HeldPage[]): number {
    this.#alive();
    if (this.length > 0) throw new SessionError("Only an empty cache can begin with pages of another");
    try {
      adoptPages(this, pages);
    } catch (error) {
      this.truncate(0);
      throw error;
    }
    return this.length;
  }

  save(note: Uint8Array = new Uint8Array(0)): Uint8Array<ArrayBuffer> {
    return atOnce(this.saving(note));
  }

  *saving(note: Uint8Array): Steps<Uint8Array<ArrayBuffer>> {
    this.#alive();
    return yield* saveCache(this, note);
  }

  restore(bytes: Uint8Array, check: (note: Uint8Array, length: number) => void = () => {}): void {
    atOnce(this.restoring(bytes, check));
  }

  *restoring(bytes: Uint8Array, check: (note: Uint8Array, length: number) => void): Steps<void> {
    this.#alive();
    let changed = false;
    let far = 0;
    try {
      yield* restoreCache(this, bytes, check, (saved) => {
        this.#alive();
        changed = true;
        this.truncate(0);
        this.reserve(saved.length);
        this.far?.grow(Math.ceil(saved.far / PAGE));
        this.progress.length = saved.length;
        this.progress.packed = saved.packed;
        this.progress.dropped = saved.dropped;
        this.progress.freed = saved.freed;
        far = saved.far;
      });
      settle(this, far);
      mergeAgain(this);
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
    this.held.length = 0;
    this.onPage = undefined;
    for (const table of this.tables) table.dispose();
    this.merged?.dispose();
    this.parts.pool.release(this.#owned);
    if (this.#recording !== undefined) this.parts.pool.release(this.#recording);
    this.parts.pool.release(this.parts.constants.page.address);
  }

  #alive(): void {
    if (this.#disposed) throw new SessionError("The session was disposed", {}, "Create a new one");
  }
}
