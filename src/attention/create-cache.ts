import { type ModelConfig, windowsOf } from "../config.js";
import { OptionError, UnsupportedError } from "../errors.js";
import type { Kernels } from "../kernels/generated.js";
import { instantiateKernels, kernelModule } from "../kernels/instantiate.js";
import type { KeyValueCache } from "../kv/cache.js";
import { COUNTED_THREADS } from "../kv/counters.js";
import { makeConstants, type SharedConstants } from "../kv/grid.js";
import type { CacheKind } from "../kv/layout.js";
import { PageCache } from "../kv/page-cache.js";
import { PagePool } from "../kv/pages.js";
import type { CachePolicy } from "../kv/policy.js";
import type { Memory } from "../memory/memory.js";
import type { AttentionOptions } from "./options.js";
import { resolveAttention } from "./resolve.js";

export interface CacheOptions {
  kind: CacheKind;
  /** Most tokens the cache can hold. */
  contextLength: number;
  attention: AttentionOptions;
  /** Sum up the queries for a calibration, see record.ts; `f32` caches only. */
  record?: boolean | undefined;
  /** Threads that attend. Default 64, the most that are counted apart. */
  threads?: number | undefined;
  /** Any build of the kernels on this memory; made when missing. */
  kernels?: Kernels | undefined;
  /** Keys a query sees in each layer, its own included; 0: all before it. Default: as the model has it. */
  windows?: readonly number[] | undefined;
}

const pools = new WeakMap<Memory, PagePool>();

/** The pages of all caches in a memory. */
export function pagePool(memory: Memory): PagePool {
  let pool = pools.get(memory);
  if (!pool) {
    pool = new PagePool(memory);
    pools.set(memory, pool);
  }
  return pool;
}

/** The constants of caches made with the very same options: grids and bases are megabytes, and take time to compute. */
const known = new WeakMap<AttentionOptions, { pool: PagePool; contextLength: number; constants: SharedConstants }>();

function sharedConstants(
  pool: PagePool,
  kernels: Kernels,
  config: ModelConfig,
  { contextLength, attention }: CacheOptions,
  policy: CachePolicy,
): SharedConstants {
  const last = known.get(attention);
  if (last?.pool === pool && last.contextLength === contextLength && pool.isAlive(last.constants.page)) {
    pool.retain(last.constants.page.address);
    return last.constants;
  }
  const constants = makeConstants(pool, kernels, config, contextLength, policy);
  known.set(attention, { pool, contextLength, constants });
  return constants;
}

/**
 * Makes an empty cache.
 * @throws OptionError for options that cannot be used, UnsupportedError for shapes the kernels do not support, MemoryError
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
  const policy = resolveAttention(attention, config, contextLength);
  if (kind === "f32" && (policy.grid || policy.delta || policy.valueCutoff > 0))
    throw new OptionError(
      "Delta attention, the score basis and value skipping work on integers",
      { key: "kvCache" },
      'Use kvCache "int8"',
    );
  const asked = options.windows ?? windowsOf(config);
  const windows = asked?.some((size) => size > 0) ? asked : undefined;
  const kernels =
    options.kernels ?? instantiateKernels(kernelModule(memory.shared ? "simd-shared" : "simd"), memory.wasm);
  const pool = pagePool(memory);
  const constants = sharedConstants(pool, kernels, config, options, policy);
  try {
    const threads = Math.max(1, options.threads ?? COUNTED_THREADS);
    const record = options.record === true && kind === "f32";
    return new PageCache({ pool, kernels, config, kind, contextLength, threads, policy, windows, constants, record });
  } finally {
    pool.release(constants.page.address);
  }
}
