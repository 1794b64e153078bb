import type { CacheParts } from "./cache.js";
import { COUNTED_THREADS, counterBytes } from "./counters.js";
import type { GridDescriptor } from "./grid.js";
import { type CacheKind, recordingBytes } from "./layout.js";

/** Everything a thread must know about a cache: plain numbers, cloned once; what changes lives in the model's memory. */
export interface CacheDescriptor {
  readonly kind: CacheKind;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly contextLength: number;
  /** Address of the table of key pages: one u32 address per 64 tokens. */
  readonly keyTable: number;
  /** Address of the table of value pages. */
  readonly valueTable: number;
  /** Address of what assembly/attention/parameters.ts describes. */
  readonly parameters: number;
  /** Address of the counters, see counters.ts. */
  readonly counters: number;
  /** Threads that have counters of their own. */
  readonly countedThreads: number;
  /** Present when keys are kept on a calibrated grid. */
  readonly grid?: GridDescriptor | undefined;
  /** Present for delta attention. */
  readonly delta?: DeltaDescriptor | undefined;
  readonly valueCutoff: number;
  /** Present when the cache records for a calibration. */
  readonly record?: RecordingDescriptor | undefined;
}

/** What a recording cache keeps per layer and KV head. */
export interface RecordingDescriptor {
  /** Address of Σ q·qᵀ, f32 [layer · kvHeads + KV head][d][d]. */
  readonly moments: number;
  /** Address of every `SAMPLE`th query, f32 [layer · kvHeads + KV head][sample][group][d]. */
  readonly samples: number;
  /** Bytes of the samples of one KV head. */
  readonly sampleBytes: number;
}

export interface DeltaDescriptor {
  /** θ² per layer and KV head. */
  readonly limits: readonly number[];
  /** Row grain: far spans are merged, see merge.ts. */
  readonly merges: boolean;
}

/** Bytes of what assembly/attention/parameters.ts describes; the counters begin there. */
const PARAMETERS = 64;

/** Tables of a cache, of which only the addresses count here. */
export interface CacheTables {
  keys: { address: number };
  values: { address: number };
  far: { address: number } | undefined;
  merged: { address: number } | undefined;
}

const countedThreads = ({ threads }: CacheParts) => Math.min(threads, COUNTED_THREADS);

/** Bytes of a cache's own memory: parameters, counters, and in delta caches two references per layer and KV head. */
export function parameterBytes(parts: CacheParts): number {
  const { config, policy } = parts;
  const heads = config.layers * config.kvHeads;
  return PARAMETERS + counterBytes(heads, countedThreads(parts)) + (policy.delta ? 2 * heads * config.headDim : 0);
}

/** Writes what assembly/attention/parameters.ts describes to `address`. */
export function writeParameters(parts: CacheParts, tables: CacheTables, address: number): void {
  const { pool, config, policy, constants } = parts;
  const heads = config.layers * config.kvHeads;
  const references = address + PARAMETERS + counterBytes(heads, countedThreads(parts));
  pool.memory
    .u32(address, PARAMETERS / 4)
    .set([
      tables.keys.address,
      tables.values.address,
      tables.far?.address ?? 0,
      constants.windowStarts,
      policy.grain,
      constants.expandTable,
      policy.sink,
      0,
      config.headDim,
      config.heads / config.kvHeads,
      policy.grid && policy.basis === "raw" ? 1 : 0,
      tables.merged?.address ?? 0,
      references,
      references + heads * config.headDim,
    ]);
  pool.memory.f32(address, PARAMETERS / 4)[7] = policy.valueCutoff;
}

/** Makes the reference of the newest key, which a pass has left as the next, that of the last key. */
export function swapReferences({ pool }: CacheParts, address: number): void {
  const references = pool.memory.u32(address, PARAMETERS / 4).subarray(12, 14);
  references.reverse();
}

/** @param parameters address of the cache's own memory; @param record address of the recording */
export function describeCache(
  parts: CacheParts,
  tables: CacheTables,
  parameters: number,
  record: number | undefined,
): CacheDescriptor {
  const { config, kind, contextLength, policy, constants } = parts;
  const { layers, heads, kvHeads, headDim } = config;
  const { moments, samples } = recordingBytes(config, contextLength);
  return {
    kind,
    layers,
    heads,
    kvHeads,
    headDim,
    contextLength,
    keyTable: tables.keys.address,
    valueTable: tables.values.address,
    parameters,
    counters: parameters + PARAMETERS,
    countedThreads: countedThreads(parts),
    grid: constants.grid,
    delta: tables.far && {
      limits: policy.thresholds.map((theta) => theta * theta),
      merges: tables.merged !== undefined,
    },
    valueCutoff: policy.valueCutoff,
    record:
      record === undefined
        ? undefined
        : { moments: record, samples: record + moments, sampleBytes: samples / (layers * kvHeads) },
  };
}
