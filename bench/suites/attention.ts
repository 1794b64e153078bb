import type { Case, Environment, Group, Suite } from "../harness/suite.js";
import { CacheRig, copiesFor, GROUP, lengths, PREFILL, settings } from "./cache-rig.js";

const points = {
  smoke: [["element", 0.6]],
  quick: [
    ["element", 0.6],
    ["chunk", 0.6],
    ["row", 0.6],
  ],
  full: (["element", "chunk", "row"] as const).flatMap((grain) =>
    [0.3, 0.6, 0.85].map((sparsity): [typeof grain, number] => [grain, sparsity]),
  ),
} as const satisfies Record<Environment["size"], unknown>;

/** A whole layer of attention (scores, softmax, weighted sum) for one KV head with four query heads. */
export const attention: Suite = {
  name: "attention",
  title: "Attention of one KV head with 4 query heads, full against delta, int8, one thread",
  unit: "MAC",
  groups: ({ size, families }) =>
    families.flatMap((family) =>
      (size === "smoke" ? [64] : [64, 128]).flatMap((headDim) =>
        lengths[size].flatMap(([keys, streamed]): Group[] => {
          const where = streamed ? "memory" : "cache";
          const name = `${family} d=${headDim} ${keys} keys ${where}`;
          const stages = [1, ...(keys <= 32768 && !(streamed && size === "quick") ? [PREFILL] : [])];
          return stages.map((tokens) => ({
            name: `${tokens === 1 ? "decode" : "prefill"} ${name}`,
            prepare: () => ({
              cases: settings(points[size] as never).map((setting): Case => {
                const rig = new CacheRig(family, headDim, keys, copiesFor(headDim, keys, streamed), setting);
                const copies = rig.config.layers;
                let call = 0;
                return {
                  name: setting.name,
                  labels: {
                    stage: tokens === 1 ? "decode" : "prefill",
                    kernel: family,
                    headDim,
                    keys,
                    where,
                    grain: setting.grain,
                    sparsity: setting.sparsity,
                  },
                  work: 2 * GROUP * headDim * tokens * (keys + (tokens + 1) / 2),
                  run: () => rig.attend(tokens, call++ % copies),
                  facts: () => rig.facts(),
                };
              }),
            }),
          }));
        }),
      ),
    ),
};
