import type { Case, Environment, Group, Suite } from "../harness/suite.js";
import { copiesFor, GROUP, PREFILL } from "./cache-rig.js";
import { madeRig, marginFor } from "./made-keys.js";

const lengths: Record<Environment["size"], readonly number[]> = {
  smoke: [700],
  quick: [4096, 32768],
  full: [1024, 4096, 16384, 32768, 131072],
};
const shares: Record<Environment["size"], readonly number[]> = {
  smoke: [0.4],
  quick: [0.2, 0.4, 1],
  full: [0.1, 0.2, 0.4, 0.7, 1],
};
/** Prefill is measured up to there. */
const LONGEST_PREFILL = 32768;

/**
 * Selective scoring against full attention. Random weights attend to everything, so keys and queries are made: in the score basis,
 * the elements of both as spread as those of SmolLM2, and the margin is searched with which a given share of the groups is completed.
 */
export const selection: Suite = {
  name: "selection",
  title:
    "Selective scoring of one KV head with 4 query heads by the share of keys completed, int8, one thread, keys from memory",
  unit: "MAC",
  groups: ({ size, families }) =>
    families.flatMap((family) =>
      (size === "smoke" ? [64] : [64, 128]).flatMap((headDim) =>
        lengths[size].flatMap((keys): Group[] =>
          [1, ...(keys <= LONGEST_PREFILL && size !== "quick" ? [PREFILL] : [])].map((tokens) => {
            const stage = tokens === 1 ? "decode" : "prefill";
            return {
              name: `${stage} ${family} d=${headDim} ${keys} keys`,
              prepare() {
                const copies = size === "smoke" ? 1 : copiesFor(headDim, 2 * keys, true);
                const labels = { stage, kernel: family, headDim, keys };
                const cases = [undefined, ...shares[size]].map((share): Case => {
                  const margin = share === undefined ? undefined : marginFor({ family, headDim, keys, tokens, share });
                  const rig = madeRig({ family, headDim, keys, copies, margin });
                  let call = 0;
                  return {
                    name: share === undefined ? "full" : `${Math.round(share * 100)} %`,
                    labels: { ...labels, share: share ?? "full" },
                    work: 2 * GROUP * headDim * tokens * (keys + (tokens + 1) / 2),
                    run: () => rig.attend(tokens, call++ % copies),
                    facts: () => {
                      const { selected, skippedMacs } = rig.cache.stats();
                      return { completedShare: selected?.completedShare ?? 1, skippedMacs };
                    },
                  };
                });
                return { cases };
              },
            };
          }),
        ),
      ),
    ),
};
