import { MemoryError, SessionError } from "../errors.js";
import type { ModelConfig } from "../model/config.js";
import type { Kernels } from "../runtime/kernels.js";
import { type BlockPool, BlockTable } from "./blocks.js";
import type { KeyValueCache } from "./cache.js";
import type { SharedConstants } from "./constants.js";
import { type AttentionStats, counterBytes } from "./counters.js";
import type { CacheDescriptor } from "./descriptor.js";
import { foldBlock } from "./fold.js";
import { BLOCK, blockBytes, type CacheKind } from "./layout.js";
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

/** A cache of blocks of 64 tokens. Delta caches have a third table, of references, and fold what has left the window. */
export class BlockCache implements KeyValueCache {
  readonly descriptor: CacheDescriptor;
  readonly parts: CacheParts;
  readonly keys: BlockTable;
  readonly values: BlockTable;
  readonly far: BlockTable | undefined;
  readonly #owned: number;
  readonly #record: number | undefined;
  #length = 0;
  #folded = 0;
  #disposed = false;

  constructor(parts: CacheParts) {
    const { pool, config, kind, contextLength, policy, constants } = parts;
    this.parts = parts;
    const blocks = Math.ceil(contextLength / BLOCK);
    const bytes = blockBytes(kind, config);
    const heads = config.layers * config.kvHeads;
    const made: BlockTable[] = [];
    const owned: number[] = [];
    const table = (size: number) => {
      const result = new BlockTable(pool, blocks, size);
      made.push(result);
      return result;
    };
    try {
      this.keys = table(bytes);
      this.values = table(bytes);
      this.far = policy.delta ? table(heads * config.headDim * BLOCK) : undefined;
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
      },
      valueCutoff: policy.valueCutoff,
      record: this.#record,
    };
  }

  get length(): number {
    return this.#length;
  }
  get keyBytes(): number {
    return this.keys.bytes + (this.far?.bytes ?? 0);
  }
  get valueBytes(): number {
    return this.values.bytes;
  }
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
    try {
      for (const table of this.tables) {
        if (tokens > 0 && this.#length % BLOCK) table.own(before - 1);
        table.grow(Math.ceil(length / BLOCK));
      }
    } catch (error) {
      for (const table of this.tables) table.shrink(before);
      throw error;
    }
  }

  commit(tokens: number): void {
    this.#alive();
    if (!(tokens >= 0) || this.#length + tokens > this.values.count * BLOCK)
      throw new SessionError(`${tokens} tokens were committed without room for them`, {}, "Reserve them first");
    this.#length += tokens;
    this.#fold();
  }

  truncate(length: number): number {
    this.#alive();
    if (!Number.isInteger(length) || length < 0)
      throw new SessionError(`A cache cannot be truncated to ${length} tokens`);
    const kept = Math.min(length, this.#length);
    // Whole keys exist from block #folded on: what comes next needs them in its window, and the last key's reference.
    const folded = this.#folded * BLOCK;
    const usable = kept === this.#length || (kept > folded && this.parts.policy.windowStart(kept) >= folded);
    this.#length = usable || folded === 0 ? kept : 0;
    if (this.#length === 0) this.#folded = 0;
    for (const table of this.tables) table.shrink(Math.ceil(this.#length / BLOCK));
    return this.#length;
  }

  fork(): KeyValueCache {
    this.#alive();
    const copy = new BlockCache(this.parts);
    this.tables.forEach((table, i) => {
      (copy.tables[i] as BlockTable).shareWith(table);
    });
    copy.#length = this.#length;
    copy.#folded = this.#folded;
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
      restoreCache(this, bytes, (length, folded) => {
        changed = true;
        this.truncate(0);
        this.reserve(length);
        this.#length = length;
        this.#folded = folded;
      });
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

  #alive(): void {
    if (this.#disposed) throw new SessionError("The session was disposed", {}, "Create a new one");
  }
}
