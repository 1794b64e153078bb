import { createCache } from "#src/attention/create-cache.js";
import type { AttentionOptions } from "#src/attention/options.js";
import { attentionScratchBytes } from "#src/attention/scratch.js";
import type { ModelFile } from "#src/formats/model-file.js";
import { openRandomModel } from "#src/formats/random-model.js";
import { Engine } from "#src/model/engine.js";
import { Profile } from "#src/model/profile.js";
import { nextSlice } from "#src/model/slice.js";
import type { Case, Environment, Group, Suite } from "../harness/suite.js";
import { fill, settings } from "./cache-rig.js";
import { walkCalibration } from "./walk.js";

const lengths: Record<Environment["size"], readonly number[]> = {
  smoke: [700],
  quick: [32768],
  full: [8192, 32768, 131072],
};

const points = {
  smoke: [["chunk", 0.6]],
  quick: [
    ["element", 0.6],
    ["chunk", 0.6],
    ["row", 0.6],
  ],
  full: [
    ["element", 0.6],
    ["element", 0.85],
    ["chunk", 0.3],
    ["chunk", 0.6],
    ["chunk", 0.85],
    ["row", 0.3],
    ["row", 0.6],
    ["row", 0.85],
  ],
} as const satisfies Record<Environment["size"], unknown>;

/** Steps for which there is room behind the keys. */
const ROOM = 8192;

/** Layers of SmolLM2's shape: 3 KV heads of 64 elements each; 24 of them read 320 MB of keys and values per token at 32k. */
function shrunk(layers: number): ModelFile {
  const file = openRandomModel("smollm2");
  return {
    ...file,
    config: { ...file.config, layers },
    tensors: { ...file.tensors, layers: file.tensors.layers.slice(0, layers) },
  };
}

/**
 * Decode with all threads over keys that no cache holds: here bytes decide, and the table shows where which grain wins.
 * Times are those of the attention operation alone, as the profile of the engine books them.
 */
export const bandwidth: Suite = {
  name: "bandwidth",
  title: "Decode attention limited by memory: SmolLM2's heads, all layers' keys and values read for every token",
  unit: "MAC",
  groups: ({ size, threads }) =>
    lengths[size].flatMap((keys) =>
      [...new Set([1, threads])].map((count): Group => {
        const layers = size === "smoke" ? 1 : keys > 65536 ? 8 : 16;
        return {
          name: `${keys} keys, ${count} thread${count > 1 ? "s" : ""}`,
          async prepare() {
            const engines: Engine[] = [];
            const cases: Case[] = [];
            for (const setting of settings(points[size] as never)) {
              const profile = new Profile();
              const contextLength = keys + ROOM;
              const engine = await Engine.load(shrunk(layers), {
                threads: count,
                contextLength,
                prefillChunk: 1,
                profile,
              });
              engines.push(engine);
              const { memory, kernels, config } = engine;
              const { kvHeads, headDim, heads } = config;
              const attention: AttentionOptions = setting.options.kind
                ? { ...setting.options, calibration: walkCalibration(headDim, layers, kvHeads) }
                : setting.options;
              const cache = createCache(memory, config, { kind: "int8", contextLength, attention, kernels });
              const scratch = memory.alloc(attentionScratchBytes(config, contextLength, 1), "scratch");
              fill({ memory, kernels, config, cache, scratch }, keys);
              memory.free(scratch);
              cases.push({
                name: setting.name,
                labels: { keys, threads: count, headDim, grain: setting.grain, sparsity: setting.sparsity },
                work: 2 * layers * heads * headDim * keys,
                run() {
                  if (cache.length >= keys + ROOM) throw new Error("the context is full");
                  const { attention: before = 0 } = profile.times;
                  engine.forward([cache.length % 1000], [nextSlice(cache, 1, "none")]);
                  return { overriddenDuration: (profile.times.attention ?? 0) - before };
                },
                facts() {
                  const { deltaSparsity, bytesRead, kvBytes } = cache.stats();
                  return { deltaSparsity, bytesRead, kvBytes };
                },
              });
            }
            return { cases, dispose: () => Promise.all(engines.map((engine) => engine.dispose())) };
          },
        };
      }),
    ),
};
