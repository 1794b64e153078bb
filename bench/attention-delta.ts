// Decode over a delta cache against full int8 attention, one layer and KV head with 4 query heads: nanoseconds per key,
// bytes read. Keys are a random walk; the threshold is set for a share of dropped differences.
// node build/bench/attention-delta.js [context lengths …]
import { attend, attentionScratchBytes, storeKeysValues } from "#src/attention/attend.js";
import { createCache } from "#src/attention/cache.js";
import { calibrate } from "#src/attention/calibrate.js";
import type { AttentionOptions } from "#src/attention/options.js";
import type { ModelConfig } from "#src/model/config.js";
import { instantiateKernels, type KernelBuild, kernelBytes, kernelModule } from "#src/runtime/instantiate.js";
import { Memory } from "#src/runtime/memory.js";
import type { Thread } from "#src/runtime/thread.js";

const contexts = process.argv.slice(2).map(Number);
const builds = (["simd", "relaxed"] as KernelBuild[]).filter((build) => WebAssembly.validate(kernelBytes(build)));
const group = 4;

function normal(): number {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

for (const headDim of [64, 128]) {
  const config = { layers: 1, heads: group, kvHeads: 1, headDim } as ModelConfig;
  const walk = new Float32Array(2048 * headDim);
  for (let i = 0; i < walk.length; i++) walk[i] = 0.9 * (walk[i - headDim] ?? 0) + 0.4 * normal();
  const moments = Float64Array.from({ length: headDim ** 2 }, (_, i) => (i % (headDim + 1) ? 0 : 2048));
  const ropeTable = new Float32Array(2048 * headDim).fill(1);
  const calibration = calibrate([[{ keys: walk, queryMoments: moments, queries: 2048 }]], config, {
    model: "random",
    ropeTable,
    score: false,
  });
  for (const build of builds)
    for (const context of contexts.length ? contexts : [8192])
      for (const attention of [
        {},
        ...(["element", "chunk", "row"] as const).flatMap((grain) =>
          [0.3, 0.6, 0.85].map(
            (targetSparsity): AttentionOptions => ({ kind: "delta", grain, targetSparsity, calibration }),
          ),
        ),
        { valueCutoff: 0.001 },
      ] as AttentionOptions[]) {
        const memory = new Memory({ shared: false });
        const kernels = instantiateKernels(kernelModule(build), memory.wasm);
        const thread: Thread = { index: 0, count: 1, kernels, barrier() {} };
        const scratch = memory.alloc(attentionScratchBytes(config, context + 64, 1), "scratch");
        const cache = createCache(memory, config, { kind: "int8", contextLength: context + 64, attention });
        const keys = memory.alloc(context * headDim * 4, "keys");
        const queries = memory.alloc(group * headDim * 4, "queries");
        const out = memory.alloc(group * headDim * 4, "out");
        cache.reserve(context);
        const all = memory.f32(keys, context * headDim);
        for (let i = 0; i < all.length; i++) all[i] = 0.9 * (all[i - headDim] ?? 0) + 0.4 * normal();
        memory.f32(queries, group * headDim).forEach((_, i, a) => {
          a[i] = normal();
        });
        storeKeysValues(thread, cache.descriptor, 0, keys, keys, context, 0, scratch);
        cache.commit(context);
        cache.reserve(1);
        storeKeysValues(thread, cache.descriptor, 0, keys, keys, 1, context, scratch);
        let best = Number.POSITIVE_INFINITY;
        for (let i = 0; i < 12; i++) {
          const start = performance.now();
          for (let r = 0; r < 10; r++) attend(thread, cache.descriptor, 0, out, queries, 1, context, scratch);
          best = Math.min(best, (performance.now() - start) / 10);
        }
        const { deltaSparsity, bytesRead, skippedMacs } = cache.stats();
        const name = attention.kind
          ? `${attention.grain} ${attention.targetSparsity}`
          : `full ${attention.valueCutoff ?? ""}`;
        console.log(
          `d ${headDim} ${build.padEnd(7)} ${context} ${name.padEnd(13)} ${((best * 1e6) / context).toFixed(1)} ns/key  ` +
            `sparsity ${deltaSparsity.toFixed(2)}  bytes read ${bytesRead.toFixed(2)}  skipped MACs ${skippedMacs.toFixed(2)}`,
        );
      }
}
