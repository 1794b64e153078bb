import { test } from "uvu";
import * as assert from "uvu/assert";
import { describeModel } from "#src/formats/describe.js";
import { openModel } from "#src/formats/open.js";
import { resolveSampling, samplingDefaults } from "#src/generate/sampling-options.js";
import { loadModel } from "#src/index.js";
import { type Entry, Kind, writeGguf } from "../helpers/gguf-writer.js";
import { tinyLlama } from "../helpers/tiny-gguf.js";
import { tinyFolder } from "../helpers/tiny-huggingface.js";

test("files suggest how to choose tokens: GGUF metadata, and generation_config.json", async () => {
  const { entries, tensors } = tinyLlama();
  const more: Entry[] = [
    ["general.sampling.temp", Kind.f32, 0.6],
    ["general.sampling.top_k", Kind.i32, 20],
    ["general.sampling.min_p", Kind.f32, 0.1],
    ["general.sampling.penalty_repeat", Kind.f32, 1.1],
    ["general.sampling.top_p", Kind.f32, 7],
  ];
  const gguf = await openModel(writeGguf([...entries, ...more], tensors));
  assert.equal(gguf.sampling, { temperature: 0.6, topK: 20, minP: 0.1, repetitionPenalty: 1.1 });
  assert.is((await openModel(writeGguf(entries, tensors))).sampling, undefined);
  const config = { temperature: 0.7, top_p: 0.9, top_k: -1, repetition_penalty: "high" };
  assert.equal((await openModel(tinyFolder({ "generation_config.json": config }))).sampling, {
    temperature: 0.7,
    topP: 0.9,
  });
});

test("what is given comes first, then what the file suggests; temperature 0 is the likeliest token and nothing else", () => {
  const suggested = { temperature: 0.5, minP: 0.1, repetitionPenalty: 1.1 };
  const { seed: _, logitBias, drySequenceBreakers, ...resolved } = resolveSampling({ minP: 0.2 }, suggested);
  assert.equal(resolved, { ...samplingDefaults, ...suggested, minP: 0.2 });
  const { seed: __, ...greedy } = resolveSampling({ temperature: 0 }, suggested);
  assert.equal(greedy, { ...samplingDefaults, temperature: 0, logitBias, drySequenceBreakers });
});

test("the embedded model suggests its own sampling, and generation follows it", async () => {
  await using model = await loadModel("embedded", { threads: 1 });
  assert.equal(model.file.sampling, { temperature: 0.5, minP: 0.1, repetitionPenalty: 1.1 });
  const text = async (options: object) =>
    (await model.complete("Once upon a time", { maxTokens: 30, seed: 3, ...options })).text;
  assert.is(await text({}), await text({ ...samplingDefaults, ...model.file.sampling }));
  assert.is.not(await text({}), await text(samplingDefaults));
});

test("licence of the embedded model: its metadata say what its card says", async () => {
  const file = await openModel("weights/story.gguf");
  assert.is(describeModel(file).metadata["general.license"], "mit");
  await file.close();
});

test.run();
