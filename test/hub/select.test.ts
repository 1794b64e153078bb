import { test } from "uvu";
import * as assert from "uvu/assert";
import { OptionError } from "#src/errors.js";
import { selectFiles } from "#src/hub/select.js";

const files = (...paths: string[]) => paths.map((path) => ({ path, size: 1000 }));
const pick = (paths: string[], name: { quant?: string; file?: string } = {}) =>
  selectFiles(files(...paths), name, "hf:o/r").files.map(({ path }) => path);
const refuses = (paths: string[], name: { quant?: string; file?: string }, message: RegExp) =>
  assert.throws(
    () => pick(paths, name),
    (error: unknown) => error instanceof OptionError && message.test(error.message) && !error.message.includes("\n"),
  );

test("without a quantisation Q4_K_M is taken, then Q8_0, then the first that is run", () => {
  assert.equal(pick(["m-F16.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf"]), ["m-Q4_K_M.gguf"]);
  assert.equal(pick(["m-F16.gguf", "m-Q2_K.gguf", "m-q8_0.gguf"]), ["m-q8_0.gguf"]);
  assert.equal(pick(["m-Q2_K.gguf", "m-Q6_K.gguf"]), ["m-Q2_K.gguf"]);
  assert.equal(pick(["m-IQ2_XS.gguf", "m-Q6_K.gguf"]), ["m-Q6_K.gguf"]);
  assert.equal(pick(["ggml-model-i2_s.gguf", "ggml-model-f32.gguf"]), ["ggml-model-i2_s.gguf"]);
});

test("what does not fit 4 GiB is taken only when it is named", () => {
  const all = [
    { path: "m-Q4_K_M.gguf", size: 5e9 },
    { path: "m-Q2_K.gguf", size: 3e9 },
  ];
  assert.is(selectFiles(all, {}, "hf:o/r").main, "m-Q2_K.gguf");
  assert.is(selectFiles(all, { quant: "Q4_K_M" }, "hf:o/r").main, "m-Q4_K_M.gguf");
});

test("a quantisation stands before a dot or a dash, in any case; whole words come first", () => {
  const all = ["m-BF16.gguf", "m-F16.gguf", "m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m.q4_0.gguf"];
  assert.equal(pick(all, { quant: "f16" }), ["m-F16.gguf"]);
  assert.equal(pick(all, { quant: "Q4_0" }), ["m.q4_0.gguf"]);
  refuses(all, { quant: "Q4_K" }, /has no Q4_K.*m-Q4_K_S\.gguf/);
  assert.equal(pick(["m-UD-Q4_K_M.gguf", "m-Q4_K_M.gguf"], { quant: "Q4_K_M" }), ["m-Q4_K_M.gguf"]);
  assert.equal(pick(["m-UD-Q4_K_M.gguf", "m-Q4_K_M.gguf"], { quant: "UD-Q4_K_M" }), ["m-UD-Q4_K_M.gguf"]);
});

test("helpers of a model are not the model", () => {
  assert.equal(pick(["mmproj-Q8_0.gguf", "m.imatrix.gguf", "mtp-m-Q8_0.gguf", "m-Q8_0.gguf"]), ["m-Q8_0.gguf"]);
});

test("a model in parts is all its parts, in order; without one it is an error", () => {
  const parts = ["m-Q8_0-00002-of-00003.gguf", "m-Q8_0-00003-of-00003.gguf", "m-Q8_0-00001-of-00003.gguf"];
  const sorted = [...parts].sort();
  assert.equal(pick(parts), sorted);
  assert.equal(pick(parts, { quant: "Q8_0" }), sorted);
  assert.equal(pick(parts, { file: "m-Q8_0-00001-of-00003.gguf" }), sorted);
  assert.equal(pick(parts, { file: "m-Q8_0-00002-of-00003.gguf" }), sorted);
  refuses(parts.slice(1), {}, /2 of the 3 parts/);
});

test("several models that fit are an error with the list of them", () => {
  refuses(["a-Q4_K_M.gguf", "b-Q4_K_M.gguf"], {}, /2 models that fit.*a-Q4_K_M\.gguf \(1 kB\), b-Q4_K_M\.gguf/);
  refuses(["a-Q4_K_M.gguf", "b-Q4_K_M.gguf"], { quant: "q4_k_m" }, /after a slash: a-Q4_K_M/);
  refuses(["a.gguf", "b.gguf"], {}, /a\.gguf.*b\.gguf/);
  assert.equal(pick(["x/m-Q8_0.gguf", "y/m-Q8_0.gguf"], { file: "y" }), ["y/m-Q8_0.gguf"]);
});

test("a folder of safetensors is its weights and what describes them", () => {
  const all = [
    "README.md",
    "config.json",
    "tokenizer.json",
    "model.safetensors",
    "onnx/model.onnx",
    "pytorch_model.bin",
    "original/model.safetensors",
  ];
  assert.equal(pick(all), ["config.json", "tokenizer.json", "model.safetensors"]);
  const sharded = [
    "config.json",
    "model.safetensors.index.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
  ];
  assert.equal(pick(sharded).length, 4);
  assert.equal(pick(sharded, { file: "model-00001-of-00002.safetensors" }).length, 4);
  assert.equal(pick([...sharded, "other.safetensors"], { file: "other.safetensors" }).length, 3);
  refuses(["config.json", "pytorch_model.bin"], {}, /neither GGUF nor safetensors.*pytorch_model\.bin/);
  refuses(["config.json"], { file: "x.gguf" }, /has no file x\.gguf/);
});

test.run();
