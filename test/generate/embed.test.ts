import { readFileSync } from "node:fs";
import { loadModel } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { OptionError } from "#src/errors.js";
import { filesFolder } from "#src/formats/folder.js";
import { shared } from "../helpers/fixtures.js";
import { difference, readF32, readI32 } from "../helpers/golden.js";
import { writeSafetensors } from "../helpers/safetensors-writer.js";

const length = (vector: Float32Array) => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));

test("the vector of the last token is what the reference has after the last norm", async () => {
  for (const name of ["qwen3", "granite", "smollm3"]) {
    const folder = shared("golden", "arch", name);
    if (!folder) continue;
    const prompt = readI32(folder, "golden", "prompt_ids.i32");
    const layers = readF32(folder, "golden", "layers.f32");
    await using model = await loadModel(`${folder}/hf-bf16`, {
      kvCache: "f32",
      head: "f16",
      threads: 1,
      prefillChunk: 16,
    });
    const { embeddings, tokens } = await model.embed([prompt], { normalize: false });
    assert.is(tokens, prompt.length);
    const { max } = difference(embeddings[0]!, layers.subarray(layers.length - model.config.hidden));
    assert.ok(max < 1e-4, `${name}: largest difference ${max}`);
  }
});

test("vectors have length 1 and do not depend on the texts beside them", async () => {
  await using model = await loadModel("embedded", { threads: 1 });
  const texts = ["Once", "Once upon a time there was a little girl", "", "The dog ran. ".repeat(20)];
  for (const pooling of ["mean", "cls", "last"] as const) {
    const together = await model.embed(texts, { pooling });
    let tokens = 0;
    for (const [i, text] of texts.entries()) {
      const alone = await model.embed([text], { pooling });
      assert.equal([...alone.embeddings[0]!], [...together.embeddings[i]!]);
      assert.ok(Math.abs(length(alone.embeddings[0]!) - 1) < 1e-6);
      tokens += alone.tokens;
    }
    assert.is(together.tokens, tokens);
  }
});

test("the mean is that of all tokens, cls the first's", async () => {
  await using model = await loadModel("embedded", { threads: 1 });
  const ids = [...model.tokenizer.encode("Tom had a red ball and a dog")];
  const options = { normalize: false } as const;
  const mean = (await model.embed([ids], { ...options, pooling: "mean" })).embeddings[0]!;
  const each = (
    await model.embed(
      ids.map((_, i) => ids.slice(0, i + 1)),
      options,
    )
  ).embeddings;
  const expected = mean.map((_, i) => each.reduce((sum, vector) => sum + vector[i]!, 0) / ids.length);
  assert.ok(difference(mean, expected).max < 1e-6);
  assert.equal([...(await model.embed([ids], { ...options, pooling: "cls" })).embeddings[0]!], [...each[0]!]);
});

test("texts that cannot be embedded are refused by their number", async () => {
  await using model = await loadModel("embedded", { threads: 1, contextLength: 32 });
  const refused = async (texts: (string | number[])[], message: RegExp, options = {}) => {
    const error = await model.embed(texts, options).then(
      () => undefined,
      (reason: unknown) => reason as Error,
    );
    assert.instance(error, OptionError);
    assert.match(error!.message, message);
  };
  await refused(["a", []], /Text 1 is empty/);
  await refused(["a", "b", "word ".repeat(40)], /Text 2 has \d+ tokens, the context 32/);
  await refused(["a"], /Use mean, cls or last/, { pooling: "max" });
  assert.equal((await model.embed([])).embeddings, []);
});

/** The folder of the small Gemma 3 as that of an embedding model. */
function embeddingGemma(folder: string, more: Record<string, Uint8Array> = {}) {
  const read = (file: string) => readFileSync(`${folder}/hf-bf16/${file}`);
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const config = JSON.parse(read("config.json").toString()) as Record<string, unknown>;
  return filesFolder(
    Object.entries({
      "gemma/config.json": json({ ...config, architectures: ["Gemma3TextModel"], use_bidirectional_attention: true }),
      "gemma/model.safetensors": read("model.safetensors"),
      "gemma/1_Pooling/config.json": json({ word_embedding_dimension: 64, pooling_mode_mean_tokens: true }),
      ...more,
    }),
  );
}

test("EmbeddingGemma: every token sees those around it, the mean of all is the vector", async () => {
  const folder = shared("golden", "arch", "gemma3");
  if (!folder) return;
  const prompt = readI32(folder, "golden", "prompt_ids.i32");
  for (const kvCache of ["f32", "int8"] as const) {
    await using model = await loadModel(embeddingGemma(folder), { kvCache, threads: 1 });
    assert.is(model.config.pooling, "mean");
    const { embeddings } = await model.embed([prompt, prompt.slice(0, 3)]);
    const { max } = difference(embeddings[0]!, bidirectional);
    assert.ok(max < (kvCache === "f32" ? 1e-5 : 0.03), `largest difference ${max}`);
    const error = await (async () => model.createSession().prefill([1]))().catch((reason: Error) => reason);
    assert.match((error as Error).message, /makes embeddings and no text/);
  }
});

test("matrices after pooling are applied", async () => {
  const folder = shared("golden", "arch", "gemma3");
  if (!folder) return;
  const prompt = readI32(folder, "golden", "prompt_ids.i32");
  const matrix = (rows: number, columns: number) =>
    Float32Array.from({ length: rows * columns }, (_, i) => ((i * 37) % 101) / 50 - 1);
  const dense = (rows: number, columns: number) =>
    writeSafetensors({
      "linear.weight": { dtype: "F32", shape: [rows, columns], bytes: new Uint8Array(matrix(rows, columns).buffer) },
    });
  const config = new TextEncoder().encode('{"bias":false,"activation_function":"torch.nn.modules.linear.Identity"}');
  const more = {
    "gemma/2_Dense/config.json": config,
    "gemma/2_Dense/model.safetensors": dense(96, 64),
    "gemma/3_Dense/config.json": config,
    "gemma/3_Dense/model.safetensors": dense(32, 96),
  };
  await using model = await loadModel(embeddingGemma(folder, more), { kvCache: "f32", threads: 1 });
  const { embeddings } = await model.embed([prompt]);
  const times = (weights: Float32Array, x: number[]) =>
    Array.from({ length: weights.length / x.length }, (_, row) =>
      x.reduce((sum, value, i) => sum + value * weights[row * x.length + i]!, 0),
    );
  const exact = times(matrix(32, 96), times(matrix(96, 64), bidirectional));
  const norm = Math.sqrt(exact.reduce((sum, value) => sum + value * value, 0));
  assert.ok(
    difference(
      embeddings[0]!,
      exact.map((value) => value / norm),
    ).max < 1e-4,
  );
});

/** Mean over the prompt of the small Gemma 3, every token seeing 8 on either side in local layers, in f64 by numpy. */
const bidirectional = [
  0.048648, -0.001575, 0.066859, -0.061761, 0.115615, -0.089521, -0.034106, -0.116971, -0.064972, 0.127902, -0.168584,
  0.094747, 0.112929, 0.203608, -0.029068, -0.222868, -0.106981, 0.112477, -0.091743, -0.016893, -0.100187, 0.016114,
  -0.004273, -0.014864, 0.156458, 0.199135, -0.130933, -0.016706, 0.066437, 0.025251, 0.017941, -0.040842, -0.006546,
  -0.15741, 0.033591, 0.392544, -0.081829, 0.108967, 0.138032, 0.015306, -0.018502, -0.084781, 0.227197, 0.06502,
  0.053599, -0.274836, -0.015716, -0.024756, 0.198134, -0.127589, 0.169986, -0.084947, -0.050991, -0.059062, 0.105055,
  0.098233, -0.204578, -0.107658, -0.120138, -0.293686, 0.105278, -0.072974, -0.04925, -0.081005,
];

test.run();
