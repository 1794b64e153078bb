import { readFileSync } from "node:fs";
import { filesFolder } from "#src/formats/folder.js";
import { openModel } from "#src/formats/open.js";
import { fixture } from "./fixtures.js";
import { writeGguf } from "./gguf-writer.js";
import { CountingSource, type Meter, mutateBytes, mutateJson, type Random } from "./header-fuzz.js";
import { wrapSafetensors, writeSafetensors } from "./safetensors-writer.js";
import { tinyLlama } from "./tiny-gguf.js";
import { packed, tinyConfig, tinyTensors, tinyTokenizer } from "./tiny-huggingface.js";

/** A GGUF header and the size of the file it belongs to; the weights are zeros. */
interface Header {
  bytes: Uint8Array;
  size: number;
}

const tiny = tinyLlama();
const tinyFile = writeGguf(tiny.entries, tiny.tensors);

function headerOf(path: string, length: number): Header {
  const file = new Uint8Array(readFileSync(path));
  return { bytes: file.slice(0, length), size: file.length };
}

const headers: readonly Header[] = [
  { bytes: tinyFile.slice(0, 1800), size: tinyFile.length },
  headerOf(fixture("golden", "llama-mini", "llama-mini-q4_0.gguf"), 9000),
  headerOf(fixture("golden", "bitnet-tiny", "bitnet-tiny-i2s.gguf"), 26_000),
];

/** One mutated GGUF file. */
export async function ggufCase(random: Random, meter: Meter): Promise<void> {
  const { bytes, size } = random.pick(headers);
  const mutated = mutateBytes(bytes, random);
  // A truncated header may end the file or be followed by zeros; a file may be so long that every length fits.
  const end = random.pick([mutated.length, size, size, size, size, 2 ** 45]);
  await (await openModel(new CountingSource(mutated, meter, Math.max(end, mutated.length)))).close();
}

const bitnetConfig = {
  ...tinyConfig,
  architectures: ["BitNetForCausalLM"],
  hidden_act: "relu2",
  quantization_config: { quant_method: "bitnet", linear_class: "autobitlinear" },
};
const folders = [
  { config: JSON.stringify(tinyConfig), weights: writeSafetensors(tinyTensors()) },
  { config: JSON.stringify(bitnetConfig), weights: writeSafetensors(packed(tinyTensors(true))) },
];
const tokenizer = JSON.stringify(tinyTokenizer);

/** One Hugging Face folder with one of its files mutated. */
export async function folderCase(random: Random, meter: Meter): Promise<void> {
  const { config, weights } = random.pick(folders);
  const which = random.below(6);
  const text = (each: string, mutate: boolean) => new TextEncoder().encode(mutate ? mutateJson(each, random) : each);
  const sources = [
    ["config.json", new CountingSource(text(config, which === 0), meter)],
    ["tokenizer.json", new CountingSource(text(tokenizer, which === 1), meter)],
    ["model.safetensors", new CountingSource(mutateWeights(weights, which, random), meter)],
  ] as const;
  await (await openModel(filesFolder(sources, "fuzzed folder"))).close();
}

function mutateWeights(weights: Uint8Array, which: number, random: Random): Uint8Array {
  if (which <= 1) return weights;
  const length = Number(new DataView(weights.buffer).getBigUint64(0, true));
  if (which <= 3) {
    const head = mutateBytes(weights.subarray(0, 8 + length), random);
    const all = new Uint8Array(head.length + weights.length - 8 - length);
    all.set(head);
    all.set(weights.subarray(8 + length), head.length);
    return all;
  }
  const json = new TextDecoder().decode(weights.subarray(8, 8 + length));
  return wrapSafetensors(mutateJson(json, random), weights.subarray(8 + length));
}
