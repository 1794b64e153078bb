import { Cache } from "../kernels/generated.js";
import { COUNTED_THREADS, counterBytes } from "./counters.js";
import type { GridDescriptor } from "./grid.js";
import { type CacheKind, recordingBytes } from "./layout.js";
import type { CacheParts } from "./parts.js";

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
  /** Address of the `Cache` record of the kernels. */
  readonly record: number;
  /** Address of the counters, see counters.ts. */
  readonly counters: number;
  /** Threads that have counters of their own. */
  readonly countedThreads: number;
  /** Present when keys are kept on a calibrated grid. */
  readonly grid?: GridDescriptor | undefined;
  /** Present for delta attention. */
  readonly delta?: DeltaDescriptor | undefined;
  readonly valueCutoff: number;
  /** Far keys are scored by their leading elements first. */
  readonly selects: boolean;
  /** Keys a query sees in each layer, its own included; 0: all before it. Absent: all in every layer. */
  readonly windows?: readonly number[] | undefined;
  /** Present when the cache records for a calibration. */
  readonly recording?: RecordingDescriptor | undefined;
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
  /** θ² per slot. */
  readonly squaredThresholds: readonly number[];
  /** Row grain: far spans are merged, see merge.ts. */
  readonly merges: boolean;
}

/** Bytes before the counters. */
const RECORD = 64;

/** Tables of a cache, of which only the addresses count here. */
export interface CacheTables {
  keys: { address: number };
  values: { address: number };
  far: { address: number } | undefined;
  merged: { address: number } | undefined;
}

const countedThreads = ({ threads }: CacheParts) => Math.min(threads, COUNTED_THREADS);

/** Bytes of a cache's own memory: its record, counters, and in delta caches two references per layer and KV head. */
export function ownBytes(parts: CacheParts): number {
  const { config, policy } = parts;
  const slots = config.layers * config.kvHeads;
  return RECORD + counterBytes(slots, countedThreads(parts)) + (policy.delta ? 2 * slots * config.headDim : 0);
}

/** Writes the `Cache` record to `address`, before the counters. */
export function writeRecord(parts: CacheParts, tables: CacheTables, address: number): void {
  const { config, policy, constants } = parts;
  const slots = config.layers * config.kvHeads;
  const references = address + RECORD + counterBytes(slots, countedThreads(parts));
  Cache.write(memoryView(parts), address, {
    keys: tables.keys.address,
    values: tables.values.address,
    far: tables.far?.address ?? 0,
    merged: tables.merged?.address ?? 0,
    windowStarts: constants.windowStarts,
    expandTable: constants.expandTable,
    lastReferences: references,
    nextReferences: references + slots * config.headDim,
    grain: policy.grain,
    sink: policy.sink,
    valueCutoff: policy.valueCutoff,
    headDim: config.headDim,
    group: config.heads / config.kvHeads,
    longQueries: policy.grid && policy.basis === "raw" ? 1 : 0,
    select: policy.select?.lead ?? 0,
  });
}

/** Makes the reference of the newest key, which a pass has left as the next, that of the last key. */
export function swapReferences(parts: CacheParts, address: number): void {
  const view = memoryView(parts);
  const record = Cache.read(view, address);
  const { lastReferences, nextReferences } = record;
  Cache.write(view, address, { ...record, lastReferences: nextReferences, nextReferences: lastReferences });
}

const memoryView = ({ pool }: CacheParts) => new DataView(pool.memory.wasm.buffer);

/** @param own address of the cache's own memory; @param recording address of the recording */
export function describeCache(
  parts: CacheParts,
  tables: CacheTables,
  own: number,
  recording: number | undefined,
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
    record: own,
    counters: own + RECORD,
    countedThreads: countedThreads(parts),
    grid: constants.grid,
    delta: tables.far && {
      squaredThresholds: policy.thresholds.map((theta) => theta * theta),
      merges: tables.merged !== undefined,
    },
    valueCutoff: policy.valueCutoff,
    selects: policy.select !== undefined,
    windows: parts.windows,
    recording:
      recording === undefined
        ? undefined
        : { moments: recording, samples: recording + moments, sampleBytes: samples / (layers * kvHeads) },
  };
}
