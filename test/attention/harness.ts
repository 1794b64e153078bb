import { attend } from "#src/attention/attend.js";
import { createCache } from "#src/attention/create-cache.js";
import type { AttentionOptions } from "#src/attention/options.js";
import { attentionScratchBytes, attentionWork } from "#src/attention/scratch.js";
import type { ModelConfig } from "#src/config.js";
import { instantiateKernels, type KernelBuild, kernelModule } from "#src/kernels/instantiate.js";
import type { KeyValueCache } from "#src/kv/cache.js";
import { storeKeysValues } from "#src/kv/store.js";
import { Memory } from "#src/memory/memory.js";
import { makeThread, RECORD_BYTES, type Thread } from "#src/threads/thread.js";
import type { Shape } from "../twins/attention.js";

/** Deterministic numbers, roughly normal. */
export function random(seed: number): () => number {
  let state = seed | 0 || 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(3) * (next() + next() + next() + next() - 2);
}

export function randomArray(length: number, seed: number): Float32Array {
  const next = random(seed);
  return Float32Array.from({ length }, next);
}

export function config(shape: Shape, layers = 1): ModelConfig {
  return {
    architecture: "llama",
    name: "test",
    layers,
    hidden: shape.heads * shape.headDim,
    ffn: 64,
    vocab: 64,
    contextLength: 4096,
    rmsNormEps: 1e-5,
    ropeTheta: 10000,
    activation: "silu",
    ...shape,
  };
}

class BarrierReached extends Error {}

/** A model's memory with one cache, driven like a forward pass of one layer by `threads` simulated threads. */
export class Rig {
  readonly memory: Memory;
  readonly threads: Thread[];
  readonly scratch: number;
  cache: KeyValueCache;
  /** Whether tokens see those after them in their chunk. */
  sees: "causal" | "all" = "causal";
  #passBarrier = true;

  constructor(
    build: KernelBuild,
    readonly shape: Shape,
    readonly contextLength: number,
    options: {
      kind: "int8" | "f32";
      threads?: number;
      attention?: AttentionOptions;
      layers?: number;
      windows?: number[];
    },
  ) {
    this.memory = new Memory({ shared: false, initialBytes: 1 << 20 });
    const kernels = instantiateKernels(kernelModule(build), this.memory.wasm);
    const count = options.threads ?? 1;
    this.threads = Array.from({ length: count }, (_, index) =>
      makeThread(kernels, this.memory.wasm, this.memory.alloc(RECORD_BYTES, "records"), {
        index,
        count,
        barrier: () => {
          if (!this.#passBarrier) throw new BarrierReached();
        },
      }),
    );
    const model = config(shape, options.layers);
    this.scratch = this.memory.alloc(attentionScratchBytes(model, contextLength, count), "scratch");
    this.cache = createCache(this.memory, model, {
      kind: options.kind,
      contextLength,
      attention: options.attention ?? {},
      windows: options.windows,
    });
  }

  /** Stores keys and values, attends with the queries; one array per layer is not needed: the same goes to each. */
  run(queries: Float32Array, keys: Float32Array, values: Float32Array, layer = 0): Float32Array {
    const { heads, kvHeads, headDim } = this.shape;
    const tokens = keys.length / (kvHeads * headDim);
    const position = this.cache.length;
    this.cache.reserve(tokens);
    const put = (x: Float32Array) => {
      const address = this.memory.alloc(x.byteLength, "test");
      this.memory.f32(address, x.length).set(x);
      return address;
    };
    const [q, k, v, out] = [put(queries), put(keys), put(values), put(new Float32Array(tokens * heads * headDim))];
    const slice = {
      cache: this.cache.descriptor,
      position,
      tokens,
      work: tokens === 1 ? ("decode" as const) : ("prefill" as const),
      sees: this.sees,
    };
    for (const thread of this.threads)
      storeKeysValues(thread, slice, layer, k, v, attentionWork(this.scratch, thread, headDim));
    // Threads run one after the other, up to the barrier inside `attend` and then again from the start: what a
    // thread writes before the barrier is the same both times.
    for (this.#passBarrier of [false, true])
      for (const thread of this.threads)
        try {
          attend(thread, slice, layer, out, q, this.scratch);
        } catch (error) {
          if (!(error instanceof BarrierReached)) throw error;
        }
    this.cache.commit(tokens);
    const result = this.memory.f32(out, tokens * heads * headDim).slice();
    for (const address of [q, k, v, out]) this.memory.free(address);
    return result;
  }

  /** `run` in chunks of the given sizes; returns all outputs. */
  runChunks(queries: Float32Array, keys: Float32Array, values: Float32Array, chunks: number[]): Float32Array {
    const { heads, kvHeads, headDim } = this.shape;
    const out = new Float32Array(queries.length);
    let at = 0;
    for (const size of chunks) {
      const [q0, q1] = [at * heads * headDim, (at + size) * heads * headDim];
      const [k0, k1] = [at * kvHeads * headDim, (at + size) * kvHeads * headDim];
      out.set(this.run(queries.subarray(q0, q1), keys.subarray(k0, k1), values.subarray(k0, k1)), q0);
      at += size;
    }
    return out;
  }
}

export const bits = (x: Float32Array) => new Uint32Array(x.buffer, x.byteOffset, x.length);

/** Index of the first number whose bits differ, or −1. */
export function firstDifference(a: Float32Array, b: Float32Array): number {
  const [x, y] = [bits(a), bits(b)];
  return a.length === b.length ? x.findIndex((value, i) => value !== y[i]) : 0;
}
