import { test } from "uvu";
import * as assert from "uvu/assert";
import { openModel } from "#src/formats/open.js";
import { fixture, shared } from "../helpers/fixtures.js";

test("a packed BitNet folder: ternary matrices with the scale as a factor", async () => {
  const file = await openModel(fixture("golden", "bitnet-tiny", "hf-packed"));
  const gguf = await openModel(fixture("golden", "bitnet-tiny", "bitnet-tiny-i2s.gguf"));
  assert.equal({ ...file.config, name: "" }, { ...gguf.config, name: "" });
  assert.is(file.container, "safetensors");
  const query = file.tensors.layers[1]?.query;
  assert.is(query?.type, "HF_BITNET_U8");
  assert.equal(query?.shape, [256, 256]);
  assert.is(query?.byteLength, (256 * 256) / 4);
  assert.is(query?.rowOrder, "halves");
  assert.is(query?.quantise, undefined);
  // The same numbers as the f32 at the end of the GGUF file's I2_S tensor.
  const stored = gguf.tensors.layers[1]?.query;
  assert.ok(stored && query);
  const tail = await stored.source.read(stored.offset + stored.byteLength - 32, 4);
  assert.is(query.scale, new DataView(tail.buffer, tail.byteOffset).getFloat32(0, true));
  assert.equal(file.tokenizer.tokens, gguf.tokenizer.tokens);
  assert.equal([...file.tokenizer.merges], [...gguf.tokenizer.merges]);
  assert.equal([...file.tokenizer.types], [...gguf.tokenizer.types]);
  assert.equal(file.tokenizer.eosIds, [510, 511]);
  assert.ok(file.tokenizer.pattern?.startsWith("(?i:'s"));
  assert.is(file.tensors.head, undefined);
  assert.equal(file.notes, []);
  await file.close();
  await gguf.close();
});

test("a master BitNet folder: weights to be made ternary", async () => {
  const path = shared("golden", "bitnet-tiny", "hf-master-bf16");
  if (!path) return;
  const file = await openModel(path);
  const down = file.tensors.layers[0]?.down;
  assert.equal([down?.type, down?.quantise, down?.masterScaleBf16], ["BF16", "absmean", true]);
  assert.is(file.tensors.embedding.type, "BF16");
  await file.close();
});

test("a Llama folder: plain weights, scaling of the rotation from config.json", async () => {
  const file = await openModel(fixture("golden", "llama-mini", "hf-bf16"));
  assert.equal(file.config.ropeScaling, {
    factor: 32,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalContextLength: 64,
  });
  assert.is(file.config.architecture, "llama");
  assert.is(file.tensors.layers[0]?.query.quantise, undefined);
  assert.is(file.tensors.layers[0]?.query.scale, undefined);
  assert.is(file.tensors.layers[0]?.attentionSubNorm, undefined);
  await file.close();
});

test("a path to the weights finds the folder around them", async () => {
  const file = await openModel(fixture("golden", "llama-mini", "hf-bf16", "model.safetensors"));
  assert.is(file.config.hidden, 64);
  await file.close();
});

test.run();
