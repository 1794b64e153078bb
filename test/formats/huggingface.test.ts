import { test } from "uvu";
import * as assert from "uvu/assert";
import { type DeltaLLMError, FormatError, SourceError, UnsupportedError } from "#src/errors.js";
import { openModel } from "#src/formats/open.js";
import { type PlainTensor, writeSafetensors } from "../helpers/safetensors-writer.js";
import {
  type Json,
  packed,
  tinyConfig,
  tinyFolder,
  tinyTensors,
  tinyTokenizer,
  zeros,
} from "../helpers/tiny-huggingface.js";
import { rejection } from "./source-conformance.js";

const open = (files?: Parameters<typeof tinyFolder>[0]) => openModel(tinyFolder(files));
const config = (changes: Json): Json => ({ ...tinyConfig, ...changes });
const bitnet = (quantization?: Json, changes: Json = {}): Json =>
  config({
    architectures: ["BitNetForCausalLM"],
    hidden_act: "relu2",
    ...(quantization && { quantization_config: { quant_method: "bitnet", ...quantization } }),
    ...changes,
  });
const weights = (tensors: Record<string, PlainTensor>) => writeSafetensors(tensors);

test("defaults of the classes", async () => {
  const { max_position_embeddings: _, rms_norm_eps: __, ...less } = tinyConfig;
  const llama = (await open({ "config.json": less })).config;
  assert.equal([llama.contextLength, llama.rmsNormEps, llama.ropeTheta], [2048, 1e-6, 10_000]);
  const model = weights(packed(tinyTensors(true)));
  const json = { ...less, architectures: ["BitNetForCausalLM"], quantization_config: { quant_method: "bitnet" } };
  const file = await open({ "config.json": json, "model.safetensors": model });
  const { contextLength, rmsNormEps, ropeTheta, activation } = file.config;
  assert.equal([contextLength, rmsNormEps, ropeTheta, activation], [2048, 1e-5, 500_000, "relu2"]);
});

test("RoPE scaling, old and new spelling", async () => {
  const llama3 = {
    rope_type: "llama3",
    factor: 32,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  };
  const scaling = { factor: 32, lowFreqFactor: 1, highFreqFactor: 4, originalContextLength: 8192 };
  const old = (await open({ "config.json": config({ rope_scaling: llama3, rope_theta: 500_000 }) })).config;
  assert.equal([old.ropeScaling, old.ropeTheta], [scaling, 500_000]);
  const parameters = { ...llama3, rope_theta: 500_000 };
  assert.equal((await open({ "config.json": config({ rope_parameters: parameters }) })).config, old);
  const plain = config({ rope_parameters: { rope_type: "default", rope_theta: 7 } });
  assert.is((await open({ "config.json": plain })).config.ropeTheta, 7);
  assert.not.ok("ropeScaling" in (await open({ "config.json": plain })).config);
});

for (const [linearClass, expected] of [
  ["autobitlinear", 0.25],
  ["bitlinear", 4],
  [undefined, 4],
] as const) {
  test(`the scale of packed weights under linear_class ${linearClass}`, async () => {
    const quantization = linearClass ? { linear_class: linearClass, quantization_mode: "offline" } : {};
    const file = await open({
      "config.json": bitnet(quantization),
      "model.safetensors": weights(packed(tinyTensors(true))),
    });
    const [layer] = file.tensors.layers;
    for (const name of ["query", "key", "value", "output", "gate", "up", "down"] as const) {
      assert.is(layer?.[name].scale, expected);
      assert.is(layer?.[name].type, "HF_BITNET_U8");
    }
    assert.equal(layer?.key.shape, [4, 8]);
    assert.equal(file.notes, []);
  });
}

test("scales in BF16 and without dimensions; zero is refused", async () => {
  const scaled = (bits: number, shape: number[]) => ({
    "config.json": bitnet({ linear_class: "autobitlinear" }),
    "model.safetensors": weights(
      packed(tinyTensors(true), { dtype: "BF16", shape, bytes: Uint8Array.of(bits & 255, bits >> 8) }),
    ),
  });
  assert.is((await open(scaled(0x3fc0, []))).tensors.layers[0]?.down.scale, 1.5);
  assert.is((await open(scaled(0x3fc0, [1]))).tensors.layers[0]?.down.scale, 1.5);
  assert.match((await rejection(open(scaled(0, [1])))).message, /The scale is 0/);
});

test("master weights are quantised at load, but for excluded modules", async () => {
  const quantization = {
    linear_class: "autobitlinear",
    quantization_mode: "online",
    modules_to_not_convert: ["v_proj"],
  };
  const file = await open({ "config.json": bitnet(quantization), "model.safetensors": weights(tinyTensors(true)) });
  const [layer] = file.tensors.layers;
  assert.equal([layer?.query.quantise, layer?.query.masterScaleBf16], ["absmean", true]);
  assert.is(layer?.value.quantise, undefined);
});

test("a BitNet folder without quantization_config holds masters, with a note", async () => {
  const file = await open({ "config.json": bitnet(), "model.safetensors": weights(tinyTensors(true)) });
  assert.is(file.tensors.layers[0]?.down.quantise, "absmean");
  assert.match(file.notes.join(), /no quantization_config/);
});

test("the head: tied, its own, or tied because there is none", async () => {
  const own = weights({ ...tinyTensors(), "lm_head.weight": zeros("F32", 8, 8) });
  const untied = { "config.json": config({ tie_word_embeddings: false }), "model.safetensors": own };
  assert.is((await open(untied)).tensors.head?.type, "F32");
  assert.is((await open({ "model.safetensors": own })).tensors.head, undefined);
  const { tie_word_embeddings: _, ...silent } = tinyConfig;
  const guessed = await open({ "config.json": silent });
  assert.is(guessed.tensors.head, undefined);
  assert.match(guessed.notes.join(), /no head/);
  const error = await rejection(open({ "config.json": config({ tie_word_embeddings: false }) }));
  assert.is((error as DeltaLLMError).place.tensor, "lm_head.weight");
});

/** The tiny model in two shards. */
function shards(): Record<string, Json | Uint8Array | undefined> {
  const entries = Object.entries(tinyTensors());
  const one = Object.fromEntries(entries.slice(0, 5));
  const two = Object.fromEntries(entries.slice(5));
  const map = (tensors: object, file: string) => Object.keys(tensors).map((name) => [name, file]);
  return {
    "model.safetensors": undefined,
    "model-00001-of-00002.safetensors": weights(one),
    "model-00002-of-00002.safetensors": weights(two),
    "model.safetensors.index.json": {
      metadata: { total_size: 1 },
      weight_map: Object.fromEntries([
        ...map(one, "model-00001-of-00002.safetensors"),
        ...map(two, "model-00002-of-00002.safetensors"),
      ]),
    },
  };
}

test("shards are found by the index", async () => {
  const file = await open(shards());
  assert.is(file.allTensors.length, 11);
  assert.is(new Set(file.allTensors.map(({ source }) => source)).size, 2);
});

test("an index that lies is refused", async () => {
  const missing = await rejection(open({ ...shards(), "model-00002-of-00002.safetensors": undefined }));
  assert.instance(missing, SourceError);
  const other = { weight_map: { "model.norm.weight": "model-00002-of-00002.safetensors" } };
  const wrong = await rejection(open({ ...shards(), "model.safetensors.index.json": other }));
  assert.match(wrong.message, /The index says the tensor is here/);
  for (const file of ["../../etc/passwd", "a/b.safetensors", 7, "x.bin"]) {
    const index = { weight_map: { "model.norm.weight": file } };
    const error = await rejection(open({ ...shards(), "model.safetensors.index.json": index }));
    assert.instance(error, FormatError);
    assert.match(error.message, /not the name of a weights file/);
  }
});

const refused: [what: string, files: Parameters<typeof tinyFolder>[0], error: unknown, message: RegExp][] = [
  ["no config.json", { "config.json": undefined }, SourceError, /no config.json/],
  ["no weights", { "model.safetensors": undefined }, SourceError, /neither model.safetensors nor/],
  ["config.json that is not JSON", { "config.json": "{" }, FormatError, /tiny\/config.json/],
  [
    "another class",
    { "config.json": config({ architectures: ["MambaForCausalLM"] }) },
    UnsupportedError,
    /MambaForCausalLM/,
  ],
  ["no class", { "config.json": config({ architectures: undefined }) }, UnsupportedError, /none named/],
  ["a missing number", { "config.json": config({ hidden_size: null }) }, FormatError, /hidden_size/],
  ["a string for a number", { "config.json": config({ hidden_size: "8" }) }, FormatError, /hidden_size/],
  ["another activation", { "config.json": config({ hidden_act: "gelu" }) }, UnsupportedError, /gelu/],
  ["yarn", { "config.json": config({ rope_scaling: { type: "yarn", factor: 2 } }) }, UnsupportedError, /yarn/],
  ["half-rotated heads", { "config.json": config({ partial_rotary_factor: 0.5 }) }, UnsupportedError, /Partial RoPE/],
  [
    "another quantisation",
    { "config.json": config({ quantization_config: { quant_method: "gptq" } }) },
    UnsupportedError,
    /gptq/,
  ],
  [
    "norms inside the linear layers",
    { "config.json": bitnet({ use_rms_norm: true }) },
    UnsupportedError,
    /use_rms_norm/,
  ],
  ["another linear class", { "config.json": bitnet({ linear_class: "x" }) }, UnsupportedError, /linear class "x"/],
  [
    "another shape",
    { "config.json": config({ intermediate_size: 12 }) },
    FormatError,
    /demands the shape \[12, 8\].*has \[16, 8\].*gate_proj/,
  ],
  [
    "packed weights nobody explains",
    { "model.safetensors": weights(packed(tinyTensors())) },
    FormatError,
    /no quantization_config/,
  ],
  ["an EOS outside", { "config.json": config({ eos_token_id: [6, 8] }) }, FormatError, /id 8 is outside/],
];
for (const [what, files, kind, message] of refused) {
  test(`refused: ${what}`, async () => {
    const error = await rejection(open(files));
    assert.instance(error, kind as typeof Error, error.stack);
    assert.match(error.message, message);
  });
}

test("end tokens: the list of generation_config, else config.json and the texts", async () => {
  assert.equal((await open()).tokenizer.eosIds, [6, 7]);
  assert.equal((await open({ "generation_config.json": { eos_token_id: [7, 2] } })).tokenizer.eosIds, [7, 2]);
  assert.equal((await open({ "generation_config.json": { eos_token_id: 3 } })).tokenizer.eosIds, [3]);
});

test("chat templates: a string, a named list, a file", async () => {
  const template = async (chat_template: unknown, file?: string) =>
    (await open({ "tokenizer_config.json": { chat_template }, "chat_template.jinja": file })).tokenizer.chatTemplate;
  assert.is(await template("one"), "one");
  assert.is(
    await template([
      { name: "tools", template: "t" },
      { name: "default", template: "d" },
    ]),
    "d",
  );
  assert.is(await template("one", "file"), "file");
  assert.is(await template(undefined), undefined);
});

test("without tokenizer.json the model runs on token ids", async () => {
  const file = await open({ "tokenizer.json": undefined });
  assert.equal(file.tokenizer.tokens, []);
  assert.match(file.notes.join(), /no tokenizer.json/);
});

test("the tokenizer of the tiny folder", async () => {
  const { tokenizer } = await open({ "tokenizer.json": tinyTokenizer });
  assert.equal(tokenizer.tokens.slice(0, 6), ["a", "b", "c", "ab", "abc", "<|begin_of_text|>"]);
  assert.equal(tokenizer.merges, ["a b", "ab c"]);
  assert.equal([...tokenizer.types], [1, 1, 1, 1, 1, 3, 3, 3]);
});

test.run();
