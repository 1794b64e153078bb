import { loadModel } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { shared } from "../helpers/fixtures.js";
import { promptOf, same, speculateAlways, ways } from "../helpers/speculation.js";

for (const source of ["embedded", shared("models", "SmolLM2-135M-Instruct.Q4_1.gguf")]) {
  if (!source) continue;
  test(`200 prompts, greedy and sampled: the same tokens with and without speculation (${source})`, async () => {
    await using model = await loadModel(source, { contextLength: 256, engineThread: "caller" });
    speculateAlways(model);
    for (let n = 0; n < 200; n++)
      for (const way of source === "embedded" ? ways : ways.slice(0, 2))
        await same(model, promptOf(n), { ...way, seed: n, maxTokens: source === "embedded" ? 32 : 16 });
    const { proposed, accepted } = model.stats().speculation;
    assert.ok(accepted > 20, `${accepted} of ${proposed} proposals were right`);
  });
}

test.run();
