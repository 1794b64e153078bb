import { MemoryError, SessionError } from "../errors.js";
import type { BlockTable } from "./blocks.js";
import type { KeyValueCache } from "./cache.js";
import type { CacheParts } from "./cache-parts.js";
import type { AttentionStats } from "./counters.js";
import { type CacheDescriptor, describeCache, swapReferences, writeParameters } from "./descriptor.js";
import { foldReferences, unfoldReferences } from "./fold.js";
import { BLOCK, SPAN } from "./layout.js";
import { growMerged, mergedRuns, mergeSpansAgain, packSpan, spansMergedAt } from "./merge.js";
import { findReferences } from "./references.js";
import { restoreCache, saveCache } from "./saved.js";
import { attentionStats } from "./stats.js";
import { allocateTables } from "./tables.js";

/** Tokens for which whole keys are kept behind the window, so that a truncation by less costs no new prefill. */
const SLACK = 16;

/**
 * A cache of blocks of 64 tokens. Delta caches have a third table, of the references of keys that have left the window of
 * the last query; full blocks of them are folded. Whole keys are dropped when they have left the window. In row grain spans
 * of 256 tokens are then merged: the runs replace keys, values and references.
 */
export class BlockCache implements KeyValueCache {
  readonly descriptor: CacheDescriptor;
  readonly parts: CacheParts;
  readonly keys: BlockTable;
  readonly values: BlockTable;
  readonly far: BlockTable | undefined;
  /** Merged spans. The forward pass in which a query first needs one fills it; `commit` packs it. */
  readonly merged: BlockTable | undefined;
  readonly #owned: number;
  readonly #record: number | undefined;
  #length = 0;
  /** Blocks, from the first, whose references are folded. */
  #folded = 0;
  /** Blocks, from the first, whose whole keys were dropped. */
  #dropped = 0;
  #packed = 0;
  /** Spans of which only the runs are left. */
  #freed = 0;
  #disposed = false;

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
    pool.share(constants.block.address);
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
    return mergedRuns(this, this.#packed) * this.parts.config.headDim;
  }
  /** Spans of which keys, values and references are gone. */
  get freedSpans(): number {
    return this.#freed;
  }
  /** Tables of one block per 64 tokens. */
  get tables(): BlockTable[] {
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
        if (tokens > 0 && used % BLOCK) table.own(Math.floor(used / BLOCK));
        table.grow(Math.ceil(this.#used(table, length) / BLOCK));
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
  #used(table: BlockTable, length: number): number {
    return table === this.far && length > 0 ? this.parts.policy.windowStart(length - 1) : length;
  }

  commit(tokens: number): void {
    this.#alive();
    if (!(tokens >= 0) || this.#length + tokens > this.values.count * BLOCK)
      throw new SessionError(`${tokens} tokens were committed without room for them`, {}, "Reserve them first");
    this.#length += tokens;
    if (tokens > 0 && this.far) swapReferences(this.parts, this.#owned);
    this.#fold();
    this.#pack();
  }

  truncate(length: number): number {
    this.#alive();
    if (!Number.isInteger(length) || length < 0)
      throw new SessionError(`A cache cannot be truncated to ${length} tokens`);
    const { policy } = this.parts;
    let kept = Math.min(length, this.#length);
    if (kept < this.#length && this.far && !this.#walkBack(kept)) kept = 0;
    this.#length = kept;
    if (kept === 0) this.#dropped = this.#folded = this.#freed = 0;
    for (const table of this.tables) table.shrink(Math.ceil(this.#used(table, kept) / BLOCK));
    const spans = spansMergedAt(policy, kept);
    this.merged?.shrink(spans);
    this.#packed = Math.min(this.#packed, spans);
    return kept;
  }

  /**
   * Makes what the next key needs after `length` others: the references of the last, and unfolded the last block of those
   * outside the window. False when whole keys that are in the window again were dropped.
   */
  #walkBack(length: number): boolean {
    const { policy } = this.parts;
    const window = length > 0 ? policy.windowStart(length - 1) : 0;
    const last = Math.ceil(window / BLOCK) - 1;
    if (length === 0 || window < this.#dropped * BLOCK || spansMergedAt(policy, length) < this.#freed) return false;
    if (last >= 0 && !this.far?.block(last)) return false;
    try {
      if (last >= 0 && last < this.#folded) {
        unfoldReferences(this, last);
        this.#folded = last;
      }
      findReferences(this, window, window, length);
      return true;
    } catch (error) {
      if (error instanceof MemoryError) return false;
      throw error;
    }
  }

  fork(): KeyValueCache {
    this.#alive();
    const copy = new BlockCache(this.parts);
    this.tables.forEach((table, i) => {
      (copy.tables[i] as BlockTable).shareWith(table);
    });
    if (this.merged) copy.merged?.shareWith(this.merged);
    copy.#length = this.#length;
    copy.#folded = this.#folded;
    copy.#dropped = this.#dropped;
    copy.#packed = this.#packed;
    copy.#freed = this.#freed;
    try {
      copy.truncate(this.#length);
      for (const table of copy.tables) {
        const used = copy.#used(table, this.#length);
        if (used % BLOCK) table.own(Math.floor(used / BLOCK));
      }
      const window = this.far ? this.#used(this.far, this.#length) : 0;
      findReferences(copy, window, window, this.#length);
    } catch (error) {
      copy.dispose();
      throw error;
    }
    return copy;
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
        this.far?.grow(Math.ceil(saved.far / BLOCK));
        this.#length = saved.length;
        this.#folded = saved.folded;
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
    for (const table of this.tables) table.dispose();
    this.merged?.dispose();
    this.parts.pool.release(this.#owned);
    if (this.#record !== undefined) this.parts.pool.release(this.#record);
    this.parts.pool.release(this.parts.constants.block.address);
  }

  /** After `restore`: the saved session may have had a larger or smaller window, and references of `far` keys. */
  #settle(far: number): void {
    if (!this.far || this.#length === 0) return;
    const window = this.parts.policy.windowStart(this.#length - 1);
    const last = Math.ceil(window / BLOCK) - 1;
    if (last >= 0 && last < this.#folded) {
      unfoldReferences(this, last);
      this.#folded = last;
    }
    findReferences(this, Math.min(far, window), window, this.#length);
    this.far.shrink(Math.ceil(window / BLOCK));
    this.#folded = Math.min(this.#folded, Math.max(0, last));
  }

  /**
   * Folds full blocks of references, but never the one the next follows from, and drops whole keys that no coming query has
   * in its window.
   */
  #fold(): void {
    if (!this.far) return;
    const { policy, contextLength } = this.parts;
    const last = Math.ceil(this.#used(this.far, this.#length) / BLOCK) - 1;
    const next = Math.min(Math.max(this.#length - SLACK, 0), contextLength - 1);
    const window = Math.floor(policy.windowStart(next) / BLOCK);
    try {
      for (; this.#folded < last; this.#folded++) foldReferences(this, this.#folded);
    } catch (error) {
      // Folding only saves memory: without room for it the block stays whole for now.
      if (!(error instanceof MemoryError)) throw error;
    }
    for (; this.#dropped < Math.min(window, this.#folded); this.#dropped++) this.keys.set(this.#dropped, undefined);
  }

  #growMerged(length: number): void {
    const { pool, config, policy } = this.parts;
    if (!this.merged) return;
    growMerged(this.merged, pool, config.layers * config.kvHeads, config.headDim, spansMergedAt(policy, length));
  }

  /** Gives back the room merged spans did not need, then all of the spans no coming query needs key by key. */
  #pack(): void {
    const { merged } = this;
    if (!merged) return;
    const { policy } = this.parts;
    try {
      for (const end = spansMergedAt(policy, this.#length); this.#packed < end; this.#packed++)
        packSpan(this, merged, this.#packed);
    } catch (error) {
      if (!(error instanceof MemoryError)) throw error;
    }
    const end = Math.min(this.#packed, spansMergedAt(policy, this.#length - SLACK));
    for (; this.#freed < end && (this.#freed + 1) * SPAN <= this.#dropped * BLOCK; this.#freed++)
      for (let block = (this.#freed * SPAN) / BLOCK; block * BLOCK < (this.#freed + 1) * SPAN; block++)
        for (const table of this.tables) table.set(block, undefined);
  }

  /** After `restore`: merges the spans that the saved session had key by key. @throws MemoryError */
  #mergeAgain(): void {
    if (!this.merged) return;
    mergeSpansAgain(this, this.#freed, spansMergedAt(this.parts.policy, this.#length));
    this.#packed = this.#freed;
    this.#pack();
  }

  #alive(): void {
    if (this.#disposed) throw new SessionError("The session was disposed", {}, "Create a new one");
  }
}
