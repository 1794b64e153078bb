import * as assert from "uvu/assert";
import { createCache } from "#src/attention/create-cache.js";
import { resolveAttention } from "#src/attention/resolve.js";
import type { ModelFile } from "#src/formats/model-file.js";
import type { Calibration } from "#src/kv/calibration.js";
import { PageCache } from "#src/kv/page-cache.js";
import { Engine } from "#src/model/engine.js";
import { nextSlice } from "#src/model/slice.js";
import { references } from "../twins/delta.js";

/**
 * Runs a model over `ids` and compares, for every layer and KV head, the zeros it counts with those of the plain reference
 * on the very same keys, which a window as long as the text keeps whole. Returns the share of zeros.
 */
export async function compareZeros(
  file: ModelFile,
  calibration: Calibration,
  ids: readonly number[],
  basis: "raw" | "score",
): Promise<number> {
  const tokens = ids.length;
  const engine = await Engine.load(file, { threads: 1, contextLength: tokens, prefillChunk: 64 });
  const { memory, config } = engine;
  const attention = { kind: "delta", basis, targetSparsity: 0.6, window: tokens, calibration } as const;
  const cache = createCache(memory, config, { kind: "int8", contextLength: tokens, attention });
  assert.instance(cache, PageCache);
  const { keys } = cache as PageCache;
  for (let at = 0; at < tokens; at += 64) {
    const piece = ids.slice(at, at + 64);
    engine.forward(piece, [nextSlice(cache, piece.length, "none")]);
  }
  const { thresholds } = resolveAttention(attention, config, tokens);
  const counted = cache.stats().heads.filter(({ stage }) => stage === "prefill");
  const d = config.headDim;
  let [zeros, seen] = [0, 0];
  calibration.heads.forEach((head, index) => {
    const codes = Array.from({ length: tokens }, (_, t) => {
      const address = keys.page(Math.floor(t / 64))?.address ?? 0;
      const part = memory.u8(address + index * d * 64, d * 64);
      const [group, key] = [Math.floor((t % 64) / 4), t % 4];
      return Array.from({ length: d }, (_, i) => part[group * d * 4 + (i >> 2) * 16 + key * 4 + (i & 3)] as number);
    });
    const steps = (basis === "score" ? head.scoreSteps : head.rawSteps) as number[];
    const { dropped } = references(codes, steps, thresholds[index] as number, "element", 4);
    const { deltaSparsity, layer, kvHead } = counted[index] as { deltaSparsity: number; layer: number; kvHead: number };
    assert.is(deltaSparsity, dropped / (tokens * d), `layer ${layer}, KV head ${kvHead}`);
    zeros += dropped;
    seen += tokens * d;
  });
  assert.is(counted.length, calibration.heads.length);
  cache.dispose();
  await engine.dispose();
  await file.close();
  return zeros / seen;
}
