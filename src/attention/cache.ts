import { OptionError, UnsupportedError } from "../errors.js";
import type { ModelConfig } from "../model/config.js";
import { instantiateKernels, kernelModule } from "../runtime/instantiate.js";
import type { Kernels } from "../runtime/kernels.js";
import type { Memory } from "../runtime/memory.js";
import { BlockCache } from "./block-cache.js";
import { BlockPool } from "./blocks.js";
import { makeConstants, type SharedConstants } from "./constants.js";
import type { AttentionStats } from "./counters.js";
import type { CacheDescriptor } from "./descriptor.js";
import type { CacheKind } from "./layout.js";
import type { AttentionOptions } from "./options.js";
import { type AttentionPolicy, attentionPolicy } from "./policy.js";

export type { CacheDescriptor } from "./descriptor.js";

export interface CacheOptions {
  kind: CacheKind;
  /** Most tokens the cache can hold. */
  contextLength: number;
  attention: AttentionOptions;
  /** Sum up the queries for a calibration, see record.ts; `f32` caches only. */
  record?: boolean | undefined;
  /** Any build of the kernels on this memory; made when missing. */
  kernels?: Kernels | undefined;
}

/** Keys and values of one sequence. Lives on the coordinating thread; no other thread may run while it is changed. */
export interface KeyValueCache {
  readonly descriptor: CacheDescriptor;
  /** Tokens committed. */
  readonly length: number;
  /** Bytes the keys take now. */
  readonly keyBytes: number;
  /** Bytes the values take now. */
  readonly valueBytes: number;
  /** Makes room for `tokens` more. @throws SessionError beyond the context length. @throws MemoryError; the cache stays usable. */
  reserve(tokens: number): void;
  /** Declares that the forward pass has stored `tokens` more, for which room was reserved. */
  commit(tokens: number): void;
  /**
   * Forgets what follows the first `length` tokens. Returns the length kept: a delta cache that has already dropped whole
   * keys which are in the window again falls back to 0. Prefill from the length returned.
   */
  truncate(length: number): number;
  /** A second cache with the same content; full blocks are shared until one of them changes. @throws MemoryError */
  fork(): KeyValueCache;
  /** The content as bytes that `restore` takes, on any machine. */
  save(): Uint8Array<ArrayBuffer>;
  /** Replaces the content. @throws SessionError when the bytes are damaged or come from another shape or kind of cache, nothing changed. @throws MemoryError; the cache is empty then. */
  restore(bytes: Uint8Array): void;
  /** What was left out so far. */
  stats(): AttentionStats;
  /** Gives all memory back; the cache cannot be used any more. Doing it twice is harmless. */
  dispose(): void;
}

const pools = new WeakMap<Memory, BlockPool>();

function poolOf(memory: Memory): BlockPool {
  let pool = pools.get(memory);
  if (!pool) {
    pool = new BlockPool(memory);
    pools.set(memory, pool);
  }
  return pool;
}

/** The constants of caches made with the very same options: grids and bases are megabytes, and take time to compute. */
const known = new WeakMap<AttentionOptions, { pool: BlockPool; contextLength: number; constants: SharedConstants }>();

function sharedConstants(
  pool: BlockPool,
  kernels: Kernels,
  config: ModelConfig,
  contextLength: number,
  policy: AttentionPolicy,
  attention: AttentionOptions,
): SharedConstants {
  const last = known.get(attention);
  if (last?.pool === pool && last.contextLength === contextLength && pool.isAlive(last.constants.block)) {
    pool.share(last.constants.block.address);
    return last.constants;
  }
  const constants = makeConstants(pool, kernels, config, contextLength, policy);
  known.set(attention, { pool, contextLength, constants });
  return constants;
}

/**
 * Makes an empty cache.
 * @throws OptionError for options that cannot be used, UnsupportedError for shapes the kernels do not run, MemoryError
 */
export function createCache(memory: Memory, config: ModelConfig, options: CacheOptions): KeyValueCache {
  const { headDim, heads, kvHeads } = config;
  const { contextLength, kind, attention } = options;
  if (headDim % 16 || headDim < 16 || headDim > 256)
    throw new UnsupportedError(`Attention heads of ${headDim} elements are not supported`, { key: "headDim" });
  if (heads % kvHeads || heads / kvHeads > 32)
    throw new UnsupportedError(`${heads} query heads for ${kvHeads} KV heads are not supported`, { key: "heads" });
  if (!Number.isInteger(contextLength) || contextLength < 1)
    throw new OptionError(`The context length must be a positive number of tokens, not ${contextLength}`);
  const policy = attentionPolicy(attention, config, contextLength);
  if (kind === "f32" && (policy.grid || policy.delta || policy.valueCutoff > 0))
    throw new OptionError(
      "Delta attention, the score basis and value skipping work on integers",
      { key: "kvCache" },
      'Use kvCache "int8"',
    );
  const kernels =
    options.kernels ?? instantiateKernels(kernelModule(memory.shared ? "simd-shared" : "simd"), memory.wasm);
  const pool = poolOf(memory);
  const constants = sharedConstants(pool, kernels, config, contextLength, policy, attention);
  try {
    const record = options.record === true && kind === "f32";
    return new BlockCache({ pool, kernels, config, kind, contextLength, policy, constants, record });
  } finally {
    pool.release(constants.block.address);
  }
}
