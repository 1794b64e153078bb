import { loadModel } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { OptionError } from "#src/errors.js";
import { shared } from "../helpers/fixtures.js";
import { difference, readF32, readI32 } from "../helpers/golden.js";

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

test.run();
