import { test } from "uvu";
import * as assert from "uvu/assert";
import { createCache } from "#src/attention/create-cache.js";
import { openEmbedded } from "#src/embedded.js";
import type { ModelFile } from "#src/formats/model-file.js";
import { openModel } from "#src/formats/open.js";
import { Engine } from "#src/model/engine.js";
import { nextSlice } from "#src/model/slice.js";
import { shared } from "../helpers/fixtures.js";
import { readI32 } from "../helpers/golden.js";

/** Logits of the text's last `steps` tokens, each computed alone, and of all of them in one pass. */
async function stepsAndPass(file: ModelFile, text: readonly number[], steps: number, threads: number) {
  const contextLength = text.length;
  const engine = await Engine.load(file, { threads, contextLength, prefillChunk: contextLength });
  try {
    const { memory, config, kernels } = engine;
    const newCache = () => createCache(memory, config, { kind: "int8", attention: {}, contextLength, kernels });
    const bits = (address: number) => Buffer.from(memory.u8(address, config.vocab * 4)).toString("base64");
    const begun = text.slice(0, -steps);
    const rest = text.slice(-steps);
    const [together, alone] = [newCache(), newCache()];
    for (const cache of [together, alone]) engine.forward(begun, [nextSlice(cache, begun.length, "none")]);
    const address = engine.forward(rest, [nextSlice(together, steps, "all")])[0] as number;
    const pass = rest.map((_, i) => bits(address + i * config.vocab * 4));
    return { pass, steps: rest.map((id) => bits(engine.forward([id], [nextSlice(alone, 1, "last")])[0] as number)) };
  } finally {
    await engine.dispose();
    await file.close();
  }
}

const models = ["qwen3", "qwen2", "smollm3", "granite", "gemma3", "phi3", "falcon-e"];
for (const name of models) {
  const title = `${name}: a token computed alone by several threads has the bits it has in a longer pass`;
  const folder = shared("golden", "arch", name);
  if (!folder) {
    test.skip(title);
    continue;
  }
  test(title, async () => {
    const path = name === "falcon-e" ? `${folder}/falcon-e-i2_s-embd-f16.gguf` : `${folder}/${name}-q8_0.gguf`;
    const ids = readI32(folder, "golden", "prompt_ids.i32");
    const text = Array.from({ length: 60 }, (_, i) => ids[(i * i) % ids.length] as number);
    const one = await stepsAndPass(await openModel(path), text, 30, 1);
    for (const threads of [2, 3]) {
      const found = await stepsAndPass(await openModel(path), text, 30, threads);
      assert.equal(found.pass, one.pass);
      assert.equal(found.steps, one.pass);
    }
  });
}

test("a token after several ranges of keys, alone, has the bits of a longer pass", async () => {
  const text = Array.from({ length: 540 }, (_, i) => (i * 37) % 4000);
  const one = await stepsAndPass(await openEmbedded(undefined), text, 40, 1);
  for (const threads of [2, 4])
    assert.equal((await stepsAndPass(await openEmbedded(undefined), text, 40, threads)).steps, one.pass);
});

test.run();
