// Full attention on random keys: nanoseconds per key and KV head, decode (one query token) and prefill (128 tokens).
// node build/bench/attention.js [context lengths …]
import { attend, attentionScratchBytes, storeKeysValues } from "#src/attention/attend.js";
import { createCache } from "#src/attention/cache.js";
import type { ModelConfig } from "#src/model/config.js";
import { instantiateKernels, type KernelBuild, kernelBytes, kernelModule } from "#src/runtime/instantiate.js";
import { Memory } from "#src/runtime/memory.js";
import type { Thread } from "#src/runtime/thread.js";

const contexts = process.argv.slice(2).map(Number);
const builds = (["simd", "relaxed"] as KernelBuild[]).filter((build) => WebAssembly.validate(kernelBytes(build)));

for (const headDim of [64, 128])
  for (const group of [4, 3])
    for (const build of builds)
      for (const kind of ["int8", "f32"] as const)
        for (const context of contexts.length ? contexts : [4096]) {
          if (kind === "f32" && group !== 4) continue;
          const config = { layers: 1, heads: group, kvHeads: 1, headDim } as ModelConfig;
          const memory = new Memory({ shared: false });
          const kernels = instantiateKernels(kernelModule(build), memory.wasm);
          const thread: Thread = { index: 0, count: 1, kernels, barrier() {} };
          const scratch = memory.alloc(attentionScratchBytes(config, context + 128, 1), "scratch");
          const cache = createCache(memory, config, { kind, contextLength: context + 128, attention: {} });
          const floats = (context + 128) * headDim * group;
          const x = memory.alloc(floats * 4, "data");
          const out = memory.alloc(128 * headDim * group * 4, "out");
          cache.reserve(context + 128);
          memory.f32(x, floats).forEach((_, i, a) => {
            a[i] = 0.5 * (Math.sin(i * 1.7) + Math.cos(i * i));
          });
          storeKeysValues(thread, cache.descriptor, 0, x, x + 64, context + 127, 0, scratch);
          const time = (tokens: number) => {
            let best = Number.POSITIVE_INFINITY;
            for (let i = 0; i < 12; i++) {
              const rounds = tokens === 1 ? 20 : 1;
              const start = performance.now();
              for (let r = 0; r < rounds; r++) attend(thread, cache.descriptor, 0, out, x, tokens, context, scratch);
              best = Math.min(best, (performance.now() - start) / rounds);
            }
            return best;
          };
          time(1);
          const decode = time(1);
          const prefill = time(128);
          const macs = 2 * group * headDim * context;
          console.log(
            `d ${headDim}  group ${group}  ${build.padEnd(7)} ${kind.padEnd(4)} ${context} keys: decode ${((decode * 1e6) / context).toFixed(1)} ns/key (${(macs / decode / 1e6).toFixed(1)}e9 MAC/s), ` +
              `prefill ${((prefill * 1e6) / context / 128).toFixed(1)} ns/key/token (${((macs * 128) / prefill / 1e6).toFixed(1)}e9)`,
          );
        }
