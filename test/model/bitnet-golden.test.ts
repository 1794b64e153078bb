import { loadModel, type Model } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fixture, shared } from "../helpers/fixtures.js";
import { argmax, difference, readF32, readI32 } from "../helpers/golden.js";

const folder = fixture("golden", "bitnet-tiny");
const prompt = readI32(folder, "golden", "prompt_ids.i32");
const greedy = readI32(folder, "golden", "greedy_ids.i32");
const logits = readF32(folder, "golden", "logits.f32");
const containers: [name: string, path: string | undefined][] = [
  ["I2_S", `${folder}/bitnet-tiny-i2s.gguf`],
  ["TQ1_0", `${folder}/bitnet-tiny-tq1_0.gguf`],
  ["TQ2_0", `${folder}/bitnet-tiny-tq2_0.gguf`],
  ["Hugging Face, packed", `${folder}/hf-packed`],
  ["Hugging Face, bf16 master", shared("golden", "bitnet-tiny", "hf-master-bf16")],
];

async function run(model: Model): Promise<{ logits: Float32Array; greedy: number[] }> {
  const session = model.createSession();
  const all = await session.prefill(prompt, { allLogits: true });
  const ids: number[] = [];
  let last: Float32Array = all.subarray(all.length - model.config.vocab);
  while (ids.length < greedy.length) {
    ids.push(argmax(last));
    last = await session.step(ids.at(-1) as number);
  }
  await session.dispose();
  return { logits: all, greedy: ids };
}

for (const [name, path] of containers) {
  if (!path) continue;
  for (const kernel of [undefined, "simd"] as const) {
    test(`tiny BitNet from ${name}${kernel ? ` (${kernel})` : ""}: golden logits and greedy ids`, async () => {
      await using model = await loadModel(path, { kvCache: "f32", head: "f16", threads: 1, kernel });
      const result = await run(model);
      // 1e-4: exact integer products and f32 elsewhere; one flipped int8 code would already cost 0.1.
      const { max } = difference(result.logits, logits);
      assert.ok(max < 1e-4, `largest difference ${max}`);
      assert.equal(result.greedy, greedy);
    });
  }
}

test("tiny BitNet with the default int8 cache and 8-bit head stays near the golden logits", async () => {
  await using model = await loadModel(`${folder}/bitnet-tiny-i2s.gguf`, { threads: 1 });
  const result = await run(model);
  // Rounded keys, values and head flip some int8 codes downstream, each worth up to about 0.1 in a logit (logit
  // standard deviation 1.3); one code flipped in every token costs 0.24, see "noise 1e-04" of the reference data.
  const { max, mean } = difference(result.logits, logits);
  assert.ok(max < 0.6 && mean < 0.08, `largest difference ${max}, mean ${mean}`);
});

test.run();
