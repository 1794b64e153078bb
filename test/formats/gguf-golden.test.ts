import { readdirSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openModel } from "#src/formats/open.js";
import { fixture, shared } from "../helpers/fixtures.js";

const bitnetTiny = {
  architecture: "bitnet",
  name: "bitnet-tiny",
  layers: 2,
  hidden: 256,
  ffn: 512,
  heads: 4,
  kvHeads: 2,
  headDim: 64,
  vocab: 512,
  contextLength: 4096,
  rmsNormEps: 1e-5,
  ropeTheta: 500_000,
  activation: "relu2",
} as const;

const llamaMini = {
  architecture: "llama",
  name: "llama-mini",
  layers: 2,
  hidden: 64,
  ffn: 96,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  vocab: 288,
  contextLength: 2048,
  rmsNormEps: 1e-5,
  ropeTheta: 500_000,
  activation: "silu",
} as const;

const llamaK = { ...llamaMini, name: "llama-k", layers: 1, hidden: 256, ffn: 256, heads: 8, headDim: 32 } as const;

for (const [folder, config] of [
  ["bitnet-tiny", bitnetTiny],
  ["llama-mini", llamaMini],
  ["llama-k", llamaK],
] as const) {
  for (const name of readdirSync(fixture("golden", folder)).filter((each) => each.endsWith(".gguf"))) {
    test(`${name} gives its configuration, tensors and tokenizer`, async () => {
      const file = await openModel(fixture("golden", folder, name));
      assert.equal(file.container, "gguf");
      assert.equal(file.config, config);
      assert.is(file.tensors.layers.length, config.layers);
      assert.is(file.tensors.head, undefined);
      assert.is(file.tokenizer.tokens.length, config.vocab);
      assert.is(file.tokenizer.tokens[0], "Ā");
      assert.is(file.tokenizer.merges.slice(0, 1)[0], "t h");
      assert.equal(file.tokenizer.eosIds, [config.vocab - 2, config.vocab - 1]);
      const [layer] = file.tensors.layers;
      assert.is(layer?.query.rowOrder, folder === "bitnet-tiny" ? "halves" : "interleaved");
      assert.is(layer?.attentionSubNorm !== undefined, folder === "bitnet-tiny");
      assert.is(file.tensors.ropeFactors !== undefined, folder !== "bitnet-tiny");
      await file.close();
    });
  }
}

test("SmolLM2-135M-Instruct opens", async () => {
  const path = shared("models", "SmolLM2-135M-Instruct.Q4_1.gguf");
  if (!path) return;
  const file = await openModel(path);
  const { layers, hidden, ffn, heads, kvHeads, headDim, vocab, ropeTheta } = file.config;
  assert.equal([layers, hidden, ffn, heads, kvHeads, headDim, vocab], [30, 576, 1536, 9, 3, 64, 49152]);
  assert.is(ropeTheta, 100_000);
  assert.equal(file.tokenizer.eosIds, [2, 0]);
  assert.is(file.tokenizer.addBos, false);
  assert.is(file.tokenizer.pre, "smollm");
  assert.is(file.tensors.embedding.type, "Q8_0");
  await file.close();
});

test.run();
