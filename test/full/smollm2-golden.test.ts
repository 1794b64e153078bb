import { readFileSync } from "node:fs";
import { loadModel } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { shared } from "../helpers/fixtures.js";
import { argmax, readJson } from "../helpers/golden.js";

interface Golden {
  prompts: Record<string, { ids: number[]; greedy_ids: number[]; greedy_gap: number[]; mean_nll: number }>;
  perplexity: { windows: number; window_length: number; mean_nll: number; ids_sum: number };
}
const path = shared("models", "SmolLM2-135M-Instruct.Q4_1.gguf");
const goldenPath = shared("golden", "smollm2", "smollm2.json");
const textPath = shared("data", "wikitext2", "wiki.test.raw.txt");

if (path && goldenPath && textPath) {
  const golden = readJson<Golden>(goldenPath);

  test("SmolLM2: golden ids fed back give the same argmax wherever the choice is clear", async () => {
    await using model = await loadModel(path);
    for (const [name, prompt] of Object.entries(golden.prompts)) {
      const window = await model.scoreWindow(prompt.ids);
      const nll = -window.reduce((sum, value) => sum + value, 0) / window.length;
      // int8 activations in llama.cpp on the same file: 0.007 on 300 tokens, 0.04 on short prompts; here the keys and
      // values are rounded as well.
      assert.ok(
        Math.abs(nll - prompt.mean_nll) < (prompt.ids.length >= 100 ? 0.015 : 0.08),
        `${name}: ${nll}, ${prompt.mean_nll}`,
      );
      const session = model.createSession();
      let last = await session.prefill(prompt.ids);
      let different = 0;
      for (const [step, id] of prompt.greedy_ids.entries()) {
        if (argmax(last) !== id) {
          different++;
          const gap = prompt.greedy_gap[step] as number;
          // llama.cpp with 8-bit activations differs only where the two best logits are closer than 0.25.
          assert.ok(gap < 0.3, `${name}, step ${step}: ${argmax(last)}, golden ${id}, gap ${gap}`);
        }
        last = await session.step(id);
      }
      console.log(`${name}: ${different} of ${prompt.greedy_ids.length} steps differ`);
      await session.dispose();
    }
  });

  // int8 activations and weights cost 0.2 %, an int8 cache some more; the bars are those of the package's promise.
  for (const [kvCache, bar] of [
    ["int8", 0.007],
    ["f32", 0.004],
  ] as const) {
    test(`SmolLM2: perplexity of the reference windows within ${bar * 100} % (${kvCache} cache)`, async () => {
      await using model = await loadModel(path, { kvCache });
      const { windows, window_length: length, mean_nll, ids_sum } = golden.perplexity;
      const ids = model.tokenizer.encode(readFileSync(textPath, "utf8"));
      const used = Array.from({ length: windows * length }, (_, i) => ids[i] as number);
      assert.is(
        used.reduce((a, b) => a + b, 0),
        ids_sum,
      );
      let sum = 0;
      for (let w = 0; w < windows; w++) {
        const window = await model.scoreWindow(used.slice(w * length, (w + 1) * length));
        sum -= window.reduce((a, b) => a + b, 0);
      }
      const ratio = Math.exp(sum / (windows * (length - 1)) - mean_nll);
      console.log(`${kvCache}: perplexity ${((ratio - 1) * 100).toFixed(2)} % above the reference`);
      assert.ok(Math.abs(ratio - 1) < bar, `${((ratio - 1) * 100).toFixed(3)} %`);
    });
  }
} else test.skip("SmolLM2: golden ids and perplexity");

test.run();
