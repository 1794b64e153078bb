import { attend } from "#src/attention/attend.js";
import { createCache } from "#src/attention/create-cache.js";
import type { AttentionOptions } from "#src/attention/options.js";
import { attentionScratchBytes } from "#src/attention/scratch.js";
import type { ModelConfig } from "#src/config.js";
import type { KernelFamily } from "#src/kernels/choose.js";
import type { Kernels } from "#src/kernels/generated.js";
import { instantiateKernels, kernelModule } from "#src/kernels/instantiate.js";
import type { KeyValueCache } from "#src/kv/cache.js";
import type { CacheSlice } from "#src/kv/slice.js";
import { storeKeysValues } from "#src/kv/store.js";
import { Memory } from "#src/memory/memory.js";
import { makeThread, RECORD_BYTES, type Thread } from "#src/threads/thread.js";
import type { Environment } from "../harness/suite.js";
import { normals, walk, walkCalibration } from "./walk.js";

/** Keys in the context, and whether several copies of them take turns so that no cache holds them. */
export const lengths: Record<Environment["size"], readonly (readonly [keys: number, streamed: boolean])[]> = {
  smoke: [[700, false]],
  quick: [
    [4096, false],
    [32768, true],
  ],
  full: [
    [4096, false],
    [32768, false],
    [32768, true],
    [262144, true],
  ],
};

/** Query heads per KV head. */
export const GROUP = 4;
/** Tokens of a prefill. */
export const PREFILL = 128;
/** Period of the walk: making normal numbers in JavaScript is slow. */
const PERIOD = 2048;

/** An attention setting to be compared. */
export interface Setting {
  name: string;
  grain: "full" | "element" | "chunk" | "row";
  sparsity: number;
  options: AttentionOptions;
}

/** Full attention, and delta attention of the given grains and shares of dropped differences in the score basis. */
export function settings(points: readonly [grain: "element" | "chunk" | "row", sparsity: number][]): Setting[] {
  return [
    { name: "full", grain: "full", sparsity: 0, options: {} },
    ...points.map(
      ([grain, sparsity]): Setting => ({
        name: `${grain} ${Math.round(sparsity * 100)} %`,
        grain,
        sparsity,
        options: { kind: "delta", grain, basis: "score", targetSparsity: sparsity },
      }),
    ),
  ];
}

const sources = new Map<string, Float32Array>();

/** One period of a walk of `heads` keys side by side, made once. */
export function walkPeriod(headDim: number, heads: number): Float32Array {
  const name = `${headDim} ${heads}`;
  let source = sources.get(name);
  if (!source) {
    const one = walk(PERIOD, headDim, 7);
    source = new Float32Array(PERIOD * heads * headDim);
    // Each head walks the same way, begun elsewhere.
    for (let t = 0; t < PERIOD; t++)
      for (let h = 0; h < heads; h++) {
        const from = ((t + h * 331) % PERIOD) * headDim;
        source.set(one.subarray(from, from + headDim), (t * heads + h) * headDim);
      }
    sources.set(name, source);
  }
  return source;
}

interface Filled {
  memory: Memory;
  kernels: Kernels;
  config: ModelConfig;
  cache: KeyValueCache;
  scratch: number;
}

/** Fills a cache with keys in chunks, as a prefill would, on this thread alone: with these repeated, or with walks. */
export function fill(
  { memory, kernels, config, cache, scratch }: Filled,
  tokens: number,
  source = walkPeriod(config.headDim, config.kvHeads),
): void {
  const { kvHeads, headDim, layers } = config;
  const thread = makeThread(kernels, memory.wasm, memory.alloc(RECORD_BYTES, "records"));
  const period = source.length / kvHeads / headDim;
  const keys = memory.alloc(source.byteLength, "keys");
  memory.f32(keys, source.length).set(source);
  for (let at = 0; at < tokens; at += period) {
    const count = Math.min(period, tokens - at);
    cache.reserve(count);
    const slice = { cache: cache.descriptor, position: at, tokens: count, work: "prefill" } as const;
    for (let layer = 0; layer < layers; layer++) storeKeysValues(thread, slice, layer, keys, keys, scratch);
    cache.commit(count);
  }
  memory.free(keys);
}

/** Stores keys in every layer, on this thread, for queries from `position` on; they are not committed. */
export function storeAhead(
  { memory, kernels, config, cache, scratch }: Filled,
  position: number,
  source: Float32Array,
): void {
  const thread = makeThread(kernels, memory.wasm, memory.alloc(RECORD_BYTES, "records"));
  const tokens = source.length / config.kvHeads / config.headDim;
  const keys = memory.alloc(source.byteLength, "new keys");
  memory.f32(keys, source.length).set(source);
  cache.reserve(tokens);
  const slice = { cache: cache.descriptor, position, tokens, work: "prefill" } as const;
  for (let layer = 0; layer < config.layers; layer++) storeKeysValues(thread, slice, layer, keys, keys, scratch);
  memory.free(keys);
}

/** One layer of attention on one thread, its cache filled with walks. Several KV heads only so that calls can take turns. */
export class CacheRig {
  readonly memory = new Memory({ shared: false });
  readonly cache: KeyValueCache;
  readonly kernels: Kernels;
  readonly config: ModelConfig;
  readonly #thread: Thread;
  readonly #scratch: number;
  readonly #queries: number;
  readonly #out: number;

  /** @param copies KV heads, each with the keys of a whole context */
  constructor(
    family: KernelFamily,
    readonly headDim: number,
    readonly keys: number,
    copies: number,
    setting: Setting,
    more: AttentionOptions = {},
  ) {
    const { memory } = this;
    this.config = { layers: copies, heads: GROUP, kvHeads: 1, headDim } as ModelConfig;
    this.kernels = instantiateKernels(kernelModule(family), memory.wasm);
    this.#thread = makeThread(this.kernels, memory.wasm, memory.alloc(RECORD_BYTES, "records"));
    const contextLength = keys + PREFILL;
    const calibration = more.calibration ?? (setting.options.kind ? walkCalibration(headDim, copies, 1) : undefined);
    this.cache = createCache(memory, this.config, {
      kind: "int8",
      contextLength,
      attention: { ...setting.options, ...more, calibration },
      kernels: this.kernels,
    });
    this.#scratch = memory.alloc(attentionScratchBytes(this.config, contextLength, 1), "scratch");
    const { kernels, config, cache } = this;
    const filled = { memory, kernels, config, cache, scratch: this.#scratch };
    fill(filled, keys);
    const floats = PREFILL * GROUP * headDim;
    this.#queries = memory.alloc(floats * 4, "queries");
    memory.f32(this.#queries, floats).set(normals(floats, 3));
    this.#out = memory.alloc(floats * 4, "out");
    // The new tokens of every call: stored once, and never committed.
    storeAhead(filled, keys, walkPeriod(headDim, 1).subarray(0, PREFILL * headDim));
  }

  /** Attention of `tokens` queries that follow the keys, in the cache of one copy. */
  attend(tokens: number, copy: number): void {
    attend(this.#thread, this.#slice(tokens), copy, this.#out, this.#queries, this.#scratch);
  }

  #slice(tokens: number): CacheSlice {
    const work = tokens === 1 ? "decode" : "prefill";
    return { cache: this.cache.descriptor, position: this.keys, tokens, work };
  }

  get queries(): number {
    return this.#queries;
  }

  facts(): Record<string, number> {
    const { deltaSparsity, bytesRead, skippedMacs } = this.cache.stats();
    return { deltaSparsity, bytesRead, skippedMacs };
  }
}

/** Bytes of keys that fit no cache of the processors of today. */
const STREAMED = 64e6;

/** How many copies of the keys make a stream from memory; 1 where caches are wanted. */
export function copiesFor(headDim: number, keys: number, streamed: boolean): number {
  return streamed ? Math.ceil(STREAMED / (keys * headDim)) : 1;
}
