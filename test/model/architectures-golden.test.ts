import { readdirSync } from "node:fs";
import { loadModel } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { shared } from "../helpers/fixtures.js";
import { argmax, difference, readF32, readI32, readJson } from "../helpers/golden.js";

/** Bounds of max and mean for activations rounded to int8, and what a greedy step may be off by. */
const rounded: Record<string, readonly [max: number, mean: number]> = {
  qwen2: [0.35, 0.06],
  phi3: [0.35, 0.06],
  qwen3: [0.45, 0.06],
  smollm3: [0.45, 0.06],
  granite: [0.7, 0.08],
  gemma3: [0.7, 0.08],
};

for (const name of ["qwen3", "qwen2", "smollm3", "granite", "gemma3", "phi3", "falcon-e"]) {
  const folder = shared("golden", "arch", name);
  if (!folder) {
    test.skip(`${name}: golden numbers`);
    continue;
  }
  for (const golden of readdirSync(`${folder}/golden`)) {
    if (golden.includes(".")) continue;
    const long = golden.endsWith("-long-factors");
    const file = golden.startsWith("hf-") ? golden : `${name}-${golden.replace("-long-factors", "")}.gguf`;
    test(`${name} from ${file}${long ? ", long factors" : ""}: golden logits and greedy ids`, async () => {
      const prompt = readI32(folder, "golden", "prompt_ids.i32");
      const logits = readF32(folder, "golden", golden, "logits.f32");
      const greedy = readI32(folder, "golden", golden, "greedy_ids.i32");
      const { gaps } = readJson<{ gaps: number[] }>(folder, "golden", golden, "greedy_ids.json");
      const int8 = /^q\d/.test(golden);
      await using model = await loadModel(`${folder}/${file}`, {
        kvCache: "f32",
        head: int8 ? undefined : "f16",
        threads: 1,
        engineThread: "caller",
        prefillChunk: 16,
        ...(long && { contextLength: 1024 }),
      });
      const session = model.createSession();
      const all = await session.prefill(prompt, { allLogits: true });
      const { max, mean } = difference(all, logits);
      if (process.env.SHOW) console.log(name, golden, max, mean);
      const [mostMax, mostMean] = int8 ? (rounded[name] as readonly [number, number]) : [1e-4, 1e-4];
      assert.ok(max < mostMax && mean < mostMean, `largest difference ${max}, mean ${mean}`);
      let last: Float32Array = all.subarray(all.length - model.config.vocab);
      for (const [step, id] of greedy.entries()) {
        const gap = gaps[step] as number;
        if (argmax(last) !== id)
          assert.ok(int8 && gap < mostMax, `step ${step}: ${argmax(last)}, golden ${id}, gap ${gap}`);
        last = await session.step(id);
      }
    });
  }
}

test.run();
