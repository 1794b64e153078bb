import { type AttentionOptions, type Calibration, loadModel } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { shared } from "../helpers/fixtures.js";
import { difference, readI32 } from "../helpers/golden.js";

const TOKENS = 300;

/** Ids that come again, so that keys repeat. */
function text(prompt: number[]): number[] {
  return Array.from({ length: TOKENS }, (_, i) => prompt[(i * i) % prompt.length] as number);
}

for (const name of ["qwen3", "qwen2", "smollm3", "granite", "gemma3", "phi3", "falcon-e"]) {
  const folder = shared("golden", "arch", name);
  if (!folder) {
    test.skip(`${name}: delta attention of threshold 0`);
    continue;
  }
  const path = name === "falcon-e" ? `${folder}/falcon-e-i2_s-embd-f16.gguf` : `${folder}/${name}-q8_0.gguf`;

  test(`${name}: delta attention of threshold 0 has the bits of full attention on the same grid`, async () => {
    const ids = text(readI32(folder, "golden", "prompt_ids.i32"));
    const options = { threads: 1, contextLength: 320, engineThread: "caller" } as const;
    let calibration: Calibration;
    {
      await using model = await loadModel(path, options);
      calibration = await model.calibrate(ids, { windowTokens: TOKENS, windows: 1 });
    }
    const run = async (attention: AttentionOptions) => {
      await using model = await loadModel(path, { ...options, attention: { ...attention, calibration } });
      const session = model.createSession();
      const all = await session.prefill(ids.slice(0, -3), { allLogits: true });
      const last = await session.step(ids.at(-3) as number);
      return { all, last, sparsity: model.stats().attention.deltaSparsity };
    };
    const cases = [
      ["raw", ["element", "row"]],
      ["score", ["chunk"]],
    ] as const;
    for (const [basis, grains] of cases) {
      const full = await run({ kind: "full", basis });
      for (const grain of grains) {
        const delta = await run({ kind: "delta", basis, grain, threshold: 0, windowScale: 0 });
        assert.is(difference(full.all, delta.all).max, 0, `${basis} ${grain}`);
        assert.is(difference(full.last, delta.last).max, 0, `${basis} ${grain}, decoded`);
      }
    }
    const sparse = await run({ kind: "delta", basis: "score", grain: "element", targetSparsity: 0.5, windowScale: 0 });
    assert.ok(sparse.sparsity > 0.2, `sparsity ${sparse.sparsity}`);
  });
}

test.run();
