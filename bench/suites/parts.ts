import { instantiateKernels } from "#src/kernels/instantiate.js";
import type { Case, Group, Suite } from "../harness/suite.js";
import { CacheRig, copiesFor, GROUP, lengths, settings } from "./cache-rig.js";

/** `assembly/bench/products.ts`. */
interface Parts {
  work_bytes(headDim: number): number;
  prepare(work: number): void;
  scores: Part;
  softmax: Part;
  values(rows: number, position: number, work: number, cache: number, slot: number): void;
}
type Part = (queries: number, rows: number, position: number, work: number, cache: number, slot: number) => void;

/** The smallest window there can be in earnest: these cases are about far keys. */
const farOnly = { windowScale: 0, window: 64 };

/** Decode, part by part. Not row grain, which has keys and values merged: its time is in the suite of the whole. */
export const attentionParts: Suite = {
  name: "attention-parts",
  title: "QKᵀ, softmax and PV of a decode step apart, one KV head with 4 query heads, int8, one thread",
  unit: "MAC",
  groups: ({ size, families, parts }) =>
    families.flatMap((family) =>
      (size === "smoke" ? [64] : [64, 128]).flatMap((headDim) =>
        lengths[size].map(([keys, streamed]): Group => {
          const where = streamed ? "memory" : "cache";
          return {
            name: `${family} d=${headDim} ${keys} keys ${where}`,
            prepare() {
              const module = parts[family];
              if (!module) throw new Error(`assembly/bench was not compiled for ${family}`);
              const cases: Case[] = [];
              const tested = settings([
                ["element", 0.6],
                ["chunk", 0.6],
              ]);
              for (const setting of tested) {
                const rig = new CacheRig(family, headDim, keys, copiesFor(headDim, keys, streamed), setting, farOnly);
                const { memory, kernels, cache, config } = rig;
                const products = instantiateKernels(module, memory.wasm) as unknown as Parts;
                const rows = memory.alloc(GROUP * (2 * headDim + 16), "quantised queries");
                kernels.attention_queries_int8(rows, rig.queries, GROUP * headDim * 4, GROUP, GROUP, headDim, 0);
                const work = memory.alloc(products.work_bytes(headDim), "work");
                products.prepare(work);
                const { record } = cache.descriptor;
                let call = 0;
                const add = (part: string, run: (copy: number) => void) =>
                  cases.push({
                    name: setting.grain === "full" ? part : `${part} ${setting.name}`,
                    labels: { part, kernel: family, headDim, keys, where, grain: setting.grain },
                    work: GROUP * headDim * (keys + 1),
                    run: () => run(call++ % config.layers),
                    facts: () => ({ deltaSparsity: cache.stats().deltaSparsity }),
                  });
                add("QKᵀ", (copy) => products.scores(rows, GROUP, keys, work, record, copy));
                if (setting.grain !== "full") continue;
                add("softmax", (copy) => products.softmax(rows, GROUP, keys, work, record, copy));
                add("PV", (copy) => products.values(GROUP, keys, work, record, copy));
              }
              return { cases };
            },
          };
        }),
      ),
    ),
};
