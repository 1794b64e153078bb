import type { Case, Environment, Group, Suite } from "../harness/suite.js";
import { copiesFor, GROUP, PREFILL } from "./cache-rig.js";
import { MadeRig, marginFor } from "./made-keys.js";

const lengths: Record<Environment["size"], readonly number[]> = {
  smoke: [700],
  quick: [1024, 4096, 32768, 131072],
  full: [1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072],
};
const shares: Record<Environment["size"], readonly number[]> = {
  smoke: [0.4],
  quick: [0.1, 0.2, 0.4, 1],
  full: [0.05, 0.1, 0.2, 0.3, 0.4, 0.55, 0.7, 0.85, 1],
};
/** With two threads, in a quick run. */
const sharedLengths = [4096, 32768];
/** Prefill of fewer tokens where the keys are more. */
const [LONG, FEW] = [32768, 32];
/** Heads of models: 20 query heads on 5 KV heads in BitNet-2B, 32 on 8 in Llama-3.2-1B. */
const kvHeadsOf: Record<number, number> = { 64: 8, 128: 5 };

/**
 * Selective scoring against full attention. Random weights attend to everything, so keys and queries are made: in the score basis,
 * the elements of both as spread as those of SmolLM2, and the margin is searched with which a given share of the groups is completed.
 */
export const selection: Suite = {
  name: "selection",
  title:
    "Selective scoring by the share of keys completed, int8, from memory; decode: the heads of BitNet-2B or Llama-1B",
  unit: "MAC",
  groups: ({ size, families, threads, startAttend }) =>
    families.flatMap((family) =>
      (size === "smoke" ? [64] : [64, 128]).flatMap((headDim) =>
        lengths[size].flatMap((keys) =>
          [
            { tokens: 1, count: 1 },
            ...(startAttend && threads > 1 && (size !== "quick" || sharedLengths.includes(keys))
              ? [{ tokens: 1, count: 2 }]
              : []),
            { tokens: keys > LONG ? FEW : PREFILL, count: 1 },
          ].map(({ tokens, count }): Group => {
            const stage = tokens === 1 ? "decode" : "prefill";
            const ran = `${count} ${count > 1 ? "threads" : "thread"}`;
            return {
              name: `${stage} ${family} d=${headDim} ${keys} keys, ${ran}`,
              async prepare() {
                // One KV head of many tokens takes as long as a layer's of one.
                const kvHeads = tokens === 1 ? (kvHeadsOf[headDim] as number) : 1;
                const copies = size === "smoke" ? 1 : copiesFor(headDim, 2 * keys * kvHeads, true);
                const made = { family, headDim, keys };
                const rigs: MadeRig[] = [];
                const cases: Case[] = [];
                for (const share of [undefined, ...shares[size]]) {
                  const margin = share && (await marginFor({ ...made, kvHeads, tokens, share }));
                  const rig = await MadeRig.create({ ...made, kvHeads, copies, margin, threads: count, startAttend });
                  rigs.push(rig);
                  let call = 0;
                  cases.push({
                    name: share === undefined ? "full" : `${Math.round(share * 100)} %`,
                    labels: { stage, kernel: family, headDim, keys, threads: count, share: share ?? "full" },
                    work: 2 * GROUP * kvHeads * headDim * tokens * (keys + (tokens + 1) / 2),
                    run: () => rig.attend(tokens, call++ % copies),
                    facts: () => {
                      const { selected, skippedMacs } = rig.cache.stats();
                      return { completedShare: selected?.completedShare ?? 1, skippedMacs };
                    },
                  });
                }
                return { cases, dispose: () => Promise.all(rigs.map((rig) => rig.dispose())) };
              },
            };
          }),
        ),
      ),
    ),
};
