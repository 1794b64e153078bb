import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createCache } from "#src/attention/create-cache.js";
import { openEmbedded } from "#src/embedded.js";
import { Engine } from "#src/model/engine.js";
import type { FfnLayersStats } from "#src/model/ffn-stats.js";
import { nextSlice } from "#src/model/slice.js";

const TOKENS = 15;
const file = await openEmbedded(undefined);

test("zeros are counted alike by dense layers and by those that leave them out, together and one by one", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.array(fc.nat(4095), { minLength: TOKENS, maxLength: TOKENS }),
      async (threads, ids) => {
        const engine = await Engine.load(file, {
          threads,
          contextLength: 64,
          prefillChunk: 64,
        });
        const { memory, config, kernels } = engine;
        const run = (steps: number, want: "none" | "all"): FfnLayersStats => {
          engine.clearFfnStats();
          const cache = createCache(memory, config, { kind: "int8", attention: {}, contextLength: 64, kernels });
          for (let at = 0; at < TOKENS; at += TOKENS / steps) {
            const piece = ids.slice(at, at + TOKENS / steps);
            engine.forward(piece, [nextSlice(cache, piece.length, want)]);
          }
          const stats = engine.ffnStats() as FfnLayersStats;
          engine.close(cache);
          cache.dispose();
          return stats;
        };
        const shares = ({ layers }: FfnLayersStats) =>
          layers.map(({ zeroGates, zeroInputs }) => [zeroGates, zeroInputs]);
        try {
          const dense = run(1, "all");
          assert.is(dense.skippedMacs, 0);
          // Layers with enough zeros go over after the first token more.
          run(TOKENS, "all");
          const together = run(1, "all");
          const single = run(TOKENS, "all");
          assert.equal(shares(together), shares(dense));
          assert.equal(shares(single), shares(dense));
          for (const { zeroGates, zeroInputs, skippedMacs, skippedBytes } of single.layers) {
            const up = Math.round(zeroGates * TOKENS * config.ffn) * config.hidden;
            const down = Math.round(zeroInputs * TOKENS * config.ffn) * config.hidden;
            assert.ok(skippedMacs === 0 || skippedMacs === up + down, `${skippedMacs} of ${up} + ${down}`);
            assert.is(skippedBytes, skippedMacs / 4);
          }
          assert.ok(single.skippedMacs > 0, "some layers went over");
          const unwanted = shares(run(1, "none"));
          assert.equal(unwanted.slice(0, -1), shares(dense).slice(0, -1));
          assert.equal(unwanted.at(-1), [0, 0], "nobody wants what the last layer would compute");
        } finally {
          await engine.dispose();
        }
      },
    ),
    { numRuns: 4 },
  );
});

test.run();
