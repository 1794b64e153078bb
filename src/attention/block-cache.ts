import { MemoryError, SessionError } from "../errors.js";
import type { ModelConfig } from "../model/config.js";
import type { Kernels } from "../runtime/kernels.js";
import { type BlockPool, BlockTable } from "./blocks.js";
import type { KeyValueCache } from "./cache.js";
import type { SharedConstants } from "./constants.js";
import { type AttentionStats, counterBytes } from "./counters.js";
import type { CacheDescriptor } from "./descriptor.js";
import { foldBlock } from "./fold.js";
import { BLOCK, blockBytes, type CacheKind, SPAN } from "./layout.js";
import { growMerged, looseBytes, mergedRuns, merges, packMerged, spansMergedAt } from "./merge.js";
import type { AttentionPolicy } from "./policy.js";
import { restoreCache, saveCache } from "./saved.js";
import { attentionStats } from "./stats.js";

/** Tokens for which whole keys are kept behind the window, so that a truncation by less costs no new prefill. */
const SLACK = 128;

export interface CacheParts {
  pool: BlockPool;
  kernels: Kernels;
  config: ModelConfig;
  kind: CacheKind;
  contextLength: number;
  policy: AttentionPolicy;
  constants: SharedConstants;
  record: boolean;
}

/**
 * A cache of blocks of 64 tokens. Delta caches have a third table, of references, and fold what has left the window. In row
 * grain spans of 512 tokens are then merged: the runs replace keys, values and references.
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
  #folded = 0;
  #packed = 0;
  /** Spans of which only the runs are left. */
  #freed = 0;
  #disposed = false;

  constructor(parts: CacheParts) {
    const { pool, config, kind, contextLength, policy, constants } = parts;
    this.parts = parts;
    const blocks = Math.ceil(contextLength / BLOCK);
    const bytes = blockBytes(kind, config);
    const heads = config.layers * config.kvHeads;
    const made: BlockTable[] = [];
    const owned: number[] = [];
    const table = (size: number, capacity = blocks) => {
      const result = new BlockTable(pool, capacity, size);
      made.push(result);
      return result;
    };
    try {
      this.keys = table(bytes);
      this.values = table(bytes);
      this.far = policy.delta ? table(heads * config.headDim * BLOCK) : undefined;
      this.merged = merges(policy)
        ? table(looseBytes(heads, config.headDim), Math.ceil(contextLength / SPAN))
        : undefined;
      this.#owned = pool.take(64 + counterBytes(heads));
      owned.push(this.#owned);
      this.#record = parts.record ? pool.take(heads * config.headDim ** 2 * 4) : undefined;
    } catch (error) {
      for (const table of made) table.dispose();
      for (const block of owned) pool.release(block);
      throw error;
    }
    pool.share(constants.block.address);
    const words = pool.memory.u32(this.#owned, 16);
    words.set([
      this.keys.address,
      this.values.address,
      this.far?.address ?? 0,
      constants.windowStarts,
      policy.grain,
      constants.expandTable,
      policy.sink,
      0,
      config.headDim,
      config.heads / config.kvHeads,
      policy.grid && policy.basis === "raw" ? 1 : 0,
      this.merged?.address ?? 0,
    ]);
    pool.memory.f32(this.#owned, 16)[7] = policy.valueCutoff;
    const { layers, kvHeads, headDim } = config;
    this.descriptor = {
      kind,
      layers,
      heads: config.heads,
      kvHeads,
      headDim,
      contextLength,
      keyTable: this.keys.address,
      valueTable: this.values.address,
      parameters: this.#owned,
      counters: this.#owned + 64,
      grid: constants.grid,
      delta: this.far && {
        farTable: this.far.address,
        grain: policy.grain,
        sink: policy.sink,
        limits: policy.thresholds.map((theta) => theta * theta),
        merges: this.merged !== undefined,
      },
      valueCutoff: policy.valueCutoff,
      record: this.#record,
    };
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
    const before = this.values.count;
    const spans = this.merged?.count ?? 0;
    try {
      this.#growMerged(length);
      for (const table of this.tables) {
        if (tokens > 0 && this.#length % BLOCK) table.own(before - 1);
        table.grow(Math.ceil(length / BLOCK));
      }
    } catch (error) {
      for (const table of this.tables) table.shrink(before);
      this.merged?.shrink(spans);
      throw error;
    }
  }

  commit(tokens: number): void {
    this.#alive();
    if (!(tokens >= 0) || this.#length + tokens > this.values.count * BLOCK)
      throw new SessionError(`${tokens} tokens were committed without room for them`, {}, "Reserve them first");
    this.#length += tokens;
    this.#fold();
    this.#pack();
  }

  truncate(length: number): number {
    this.#alive();
    if (!Number.isInteger(length) || length < 0)
      throw new SessionError(`A cache cannot be truncated to ${length} tokens`);
    const kept = Math.min(length, this.#length);
    // Whole keys exist from block #folded on: what comes next needs them in its window, and the last key's reference.
    const folded = this.#folded * BLOCK;
    const { policy } = this.parts;
    const usable =
      kept === this.#length ||
      (kept > folded && policy.windowStart(kept) >= folded && spansMergedAt(policy, kept) >= this.#freed);
    this.#length = usable || folded === 0 ? kept : 0;
    if (this.#length === 0) this.#folded = this.#freed = 0;
    for (const table of this.tables) table.shrink(Math.ceil(this.#length / BLOCK));
    const spans = spansMergedAt(policy, this.#length);
    this.merged?.shrink(spans);
    this.#packed = Math.min(this.#packed, spans);
    return this.#length;
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
    copy.#packed = this.#packed;
    copy.#freed = this.#freed;
    try {
      copy.truncate(this.#length);
      const last = Math.ceil(this.#length / BLOCK) - 1;
      if (this.#length % BLOCK) for (const table of copy.tables) table.own(last);
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
    try {
      restoreCache(this, bytes, (length, folded, freed) => {
        changed = true;
        this.truncate(0);
        this.reserve(length);
        this.#length = length;
        this.#folded = folded;
        this.#freed = freed;
      });
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

  /** Folds the blocks that no coming query has in its window, but never the one the next reference follows from. */
  #fold(): void {
    if (!this.far) return;
    const { policy, contextLength } = this.parts;
    const next = Math.min(Math.max(this.#length - SLACK, 0), contextLength - 1);
    const end = Math.min(Math.floor(policy.windowStart(next) / BLOCK), Math.ceil(this.#length / BLOCK) - 1);
    try {
      for (; this.#folded < end; this.#folded++) foldBlock(this, this.#folded);
    } catch (error) {
      // Folding only saves memory: without room for it the block stays whole for now.
      if (!(error instanceof MemoryError)) throw error;
    }
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
    const { pool, config, policy } = this.parts;
    try {
      for (const end = spansMergedAt(policy, this.#length); this.#packed < end; this.#packed++) {
        const packed = packMerged(merged.view(this.#packed), config.layers * config.kvHeads, config.headDim);
        const address = pool.take(packed.length);
        pool.memory.u8(address, packed.length).set(packed);
        merged.set(this.#packed, { address, bytes: packed.length, tag: 0 });
      }
    } catch (error) {
      if (!(error instanceof MemoryError)) throw error;
    }
    const end = Math.min(this.#packed, spansMergedAt(policy, this.#length - SLACK));
    for (; this.#freed < end && (this.#freed + 1) * SPAN <= this.#folded * BLOCK; this.#freed++)
      for (let block = (this.#freed * SPAN) / BLOCK; block * BLOCK < (this.#freed + 1) * SPAN; block++)
        for (const table of this.tables) table.set(block, undefined);
  }

  /** After `restore`: merges the spans that the saved session had key by key. @throws MemoryError */
  #mergeAgain(): void {
    const { merged } = this;
    if (!merged) return;
    const { kernels, config, policy, pool } = this.parts;
    const heads = config.layers * config.kvHeads;
    const work = pool.memory.alloc(6 * config.headDim + 64, "merging keys");
    try {
      for (let span = this.#freed; span < spansMergedAt(policy, this.#length); span++)
        for (let head = 0; head < heads; head++)
          kernels.cache_merge_span(this.#owned, head, span, (policy.thresholds[head] as number) > 0 ? 1 : 0, work);
    } finally {
      pool.memory.free(work);
    }
    this.#packed = this.#freed;
    this.#pack();
  }

  #alive(): void {
    if (this.#disposed) throw new SessionError("The session was disposed", {}, "Create a new one");
  }
}
