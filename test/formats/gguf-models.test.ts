import { test } from "uvu";
import * as assert from "uvu/assert";
import { describeModel } from "#src/formats/describe.js";
import { filesFolder } from "#src/formats/folder.js";
import { openGguf } from "#src/formats/gguf/model.js";
import { bitnet2bTemplate, correctKnownModel } from "#src/formats/known-models.js";
import type { ModelFile } from "#src/formats/model-file.js";
import { openModel } from "#src/formats/open.js";
import { bytesSource } from "#src/formats/sources/bytes.js";
import { type Entry, Kind, type WrittenTensor, writeGguf } from "../helpers/gguf-writer.js";
import { tinyLlama, withEntry, withoutEntry } from "../helpers/tiny-gguf.js";
import { rejection } from "./source-conformance.js";

const { entries, tensors } = tinyLlama();

/** The tiny model under a BitNet name: prefix of the keys and sub-norms. */
function tinyBitNet(arch: string): { entries: Entry[]; tensors: WrittenTensor[] } {
  const norm = (name: string, length: number) => ({ name, ne: [length], type: 0, bytes: new Uint8Array(4 * length) });
  return {
    entries: withEntry(entries, "general.architecture", Kind.string, arch).map(
      ([key, kind, value]) => [key.replace(/^llama\./, `${arch}.`), kind, value] as const,
    ),
    tensors: [...tensors, norm("blk.0.attn_sub_norm.weight", 8), norm("blk.0.ffn_sub_norm.weight", 16)],
  };
}

test("the gate of BitNet files", async () => {
  const activation = async (arch: string, key?: string) => {
    const model = tinyBitNet(arch);
    const more: Entry[] = key === undefined ? [] : [[`${arch}.hidden_activation`, Kind.string, key]];
    return (await openModel(writeGguf([...model.entries, ...more], model.tensors))).config.activation;
  };
  assert.is(await activation("bitnet-b1.58"), "relu2");
  assert.is(await activation("bitnet-25"), "relu2");
  assert.is(await activation("bitnet"), "silu");
  assert.is(await activation("bitnet", "relu_sqr"), "relu2");
  assert.is(await activation("bitnet", "silu"), "silu");
  assert.match((await rejection(activation("bitnet", "gelu"))).message, /"gelu" is not supported/);
});

test("scales beside the matrices become factors of the output", async () => {
  const model = tinyBitNet("bitnet");
  const scale = { name: "blk.0.attn_q.scale", ne: [1], type: 0, bytes: new Uint8Array(Float32Array.of(0.75).buffer) };
  const file = await openModel(writeGguf(model.entries, [...model.tensors, scale]));
  assert.is(file.tensors.layers[0]?.query.scale, 0.75);
  assert.is(file.tensors.layers[0]?.query.rowOrder, "halves");
  assert.is(file.tensors.layers[0]?.key.scale, undefined);
  assert.equal(file.notes, []);
});

test("a head of its own, and tensors nobody needs", async () => {
  const more = [
    { name: "output.weight", ne: [8, 4], type: 1, bytes: new Uint8Array(64) },
    { name: "extra", ne: [4], type: 0, bytes: new Uint8Array(16) },
  ];
  const file = await openModel(writeGguf(entries, [...tensors, ...more]));
  assert.is(file.tensors.head?.type, "F16");
  assert.equal(file.notes, ["1 tensors are not used: extra"]);
});

test("long, empty and non-ASCII tokens keep their text, also bytes that are no UTF-8", async () => {
  const texts = ["", "Ġthe", "😀".repeat(50), "x".repeat(70_000)];
  const bytes = writeGguf(withEntry(entries, "tokenizer.ggml.tokens", Kind.array, [Kind.string, texts]), tensors);
  assert.equal((await openModel(bytes)).tokenizer.tokens, texts);
  const at = Buffer.from(bytes).indexOf("Ġthe");
  bytes[at] = 0xff;
  const { tokens } = (await openModel(bytes)).tokenizer;
  assert.equal(tokens[1], "\ufffd\ufffdthe");
  assert.equal(tokens[2], texts[2]);
});

test("files without a tokenizer run on token ids", async () => {
  const file = await openModel(
    writeGguf(
      entries.filter(([key]) => !key.startsWith("tokenizer.")),
      tensors,
    ),
  );
  assert.equal(file.tokenizer.tokens, []);
  assert.is(file.config.vocab, 4);
});

test("end tokens are found by their texts among control tokens", async () => {
  const special = tinyLlama({ tokens: ["a", "<|eot_id|>", "<|im_end|>", "b"] });
  const withEos = withEntry(special.entries, "tokenizer.ggml.eos_token_id", Kind.u32, 2);
  assert.equal((await openModel(writeGguf(withEos, special.tensors))).tokenizer.eosIds, [2, 1]);
  const plain = withEntry(special.entries, "tokenizer.ggml.token_type", Kind.array, [Kind.i32, [1, 1, 1, 1]]);
  assert.equal((await openModel(writeGguf(plain, special.tensors))).tokenizer.eosIds, []);
});

/** A split model: the metadata and some tensors in the first part, the rest in the second. */
function parts(): Map<string, Uint8Array> {
  const split = (number: number): Entry[] => [
    ["split.no", Kind.u32, number],
    ["split.count", Kind.u32, 2],
    ["split.tensors.count", Kind.i32, tensors.length],
  ];
  return new Map([
    ["m-00001-of-00002.gguf", writeGguf([...entries, ...split(0)], tensors.slice(0, 4))],
    ["m-00002-of-00002.gguf", writeGguf(split(1), tensors.slice(4))],
  ]);
}

test("a split model is read from its first part", async () => {
  const files = parts();
  const name = "m-00001-of-00002.gguf";
  const first = () => bytesSource(files.get(name) as Uint8Array);
  const file = await openGguf(first(), {}, { folder: filesFolder(files), file: name });
  assert.is(file.allTensors.length, tensors.length);
  assert.is(new Set(file.allTensors.map(({ source }) => source)).size, 2);
  await file.close();

  assert.match((await rejection(openModel(first()))).message, /where the others are is not known/);
  const second = files.get("m-00002-of-00002.gguf") as Uint8Array;
  assert.match((await rejection(openModel(second))).message, /This is part 2 of 2/);
  files.delete("m-00002-of-00002.gguf");
  const missing = openGguf(first(), {}, { folder: filesFolder(files), file: name });
  assert.match((await rejection(missing)).message, /Part 2 of 2 is missing/);
});

/** A description with the shape and vocabulary of a known model; nothing else is looked at. */
function known(fields: { container?: "gguf" | "safetensors"; config: object; tokenizer?: object }): ModelFile {
  const tokens = Array.from({ length: 128_256 }, (_, id) => `t${id}`);
  tokens[128_000] = "<|begin_of_text|>";
  tokens[128_001] = "<|end_of_text|>";
  tokens[128_009] = "<|eot_id|>";
  const tokenizer = { kind: "bpe", tokens, types: [], merges: [], eosIds: [128_001], bosId: 128_000 };
  return {
    container: fields.container ?? "gguf",
    config: fields.config,
    tokenizer: { ...tokenizer, ...fields.tokenizer },
    tensors: {},
    notes: [],
  } as unknown as ModelFile;
}

test("BitNet-2B-4T: pre-tokenizer, end tokens and template are corrected, with notes", () => {
  const file = known({
    config: { architecture: "bitnet", layers: 30, hidden: 2560 },
    tokenizer: { chatTemplate: "{{ 'Human: ' }}", addBos: true },
  });
  correctKnownModel(file);
  assert.is(file.tokenizer.pre, "llama-bpe");
  assert.equal(file.tokenizer.eosIds, [128_001, 128_009]);
  assert.is(file.tokenizer.chatTemplate, bitnet2bTemplate);
  assert.is(file.notes.length, 3);
  correctKnownModel(file);
  assert.is(file.notes.length, 3, "nothing left to correct");
});

test("a Llama 3.2 file without rope_freqs gets its scaling; one that says all is left alone", () => {
  const bare = known({ config: { architecture: "llama", hidden: 2048, contextLength: 131_072 } });
  correctKnownModel(bare);
  assert.is(bare.config.ropeScaling?.factor, 32);
  assert.is(bare.tokenizer.addBos, true);
  const whole = known({
    container: "safetensors",
    config: { architecture: "llama", hidden: 4096, contextLength: 8192 },
    tokenizer: { pattern: "x", eosIds: [128_001, 128_009], addBos: true, chatTemplate: "own" },
  });
  correctKnownModel(whole);
  assert.equal(whole.notes, []);
  assert.is(whole.tokenizer.chatTemplate, "own");
  assert.is(whole.config.ropeScaling, undefined);
});

test("a description is plain JSON and short", async () => {
  const long = withEntry(entries, "x", Kind.array, [Kind.u32, Array.from({ length: 1000 }, (_, i) => i)]);
  const file = await openModel(writeGguf([...long, ["huge", Kind.u64, 2n ** 63n]], tensors));
  const description = describeModel(file);
  assert.equal(JSON.parse(JSON.stringify(description)), description);
  assert.equal(description.metadata.x, { length: 1000, first: [0, 1, 2, 3, 4, 5, 6, 7] });
  assert.is(description.metadata.huge, "9223372036854775808");
  assert.is(description.parameters, 4 * 8 + 8 + 8 + 64 + 32 + 32 + 64 + 8 + 128 + 128 + 128);
  const { tensorBytes } = description;
  assert.equal(description.totals, [{ type: "F32", tensors: 11, values: tensorBytes / 4, bytes: tensorBytes }]);
  assert.is(description.tiedHead, true);
});

test("metadata that is missing but has a default", async () => {
  const less = withoutEntry(entries, "llama.attention.head_count_kv");
  const k = tensors.map((tensor) =>
    /attn_[kv]/.test(tensor.name) ? { ...tensor, ne: [8, 8], bytes: new Uint8Array(256) } : tensor,
  );
  assert.is((await openModel(writeGguf(less, k))).config.kvHeads, 2);
});

test.run();
