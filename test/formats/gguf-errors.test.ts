import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type DeltaLLMError, FormatError, UnsupportedError } from "#src/errors.js";
import { openModel } from "#src/formats/open.js";
import { fixture } from "../helpers/fixtures.js";
import { type Entry, Kind, type Oddities, type WrittenTensor, writeGguf } from "../helpers/gguf-writer.js";
import { tinyLlama, withEntry, withoutEntry } from "../helpers/tiny-gguf.js";
import { rejection } from "./source-conformance.js";

const { entries, tensors } = tinyLlama();
const BIG = 2n ** 60n;

/** `tensors` with one of them changed. */
function change(name: string, fields: Partial<WrittenTensor>): WrittenTensor[] {
  return tensors.map((tensor) => (tensor.name === name ? { ...tensor, ...fields } : tensor));
}

/** Writes `value` over the bytes after the first occurrence of `marker`. */
function patchAfter(bytes: Uint8Array, marker: string, skip: number, value: bigint): Uint8Array {
  const at = Buffer.from(bytes).indexOf(marker) + marker.length + skip;
  new DataView(bytes.buffer).setBigUint64(at, value, true);
  return bytes;
}

interface Case {
  what: string;
  entries?: Entry[];
  tensors?: WrittenTensor[];
  odd?: Oddities;
  damage?: (bytes: Uint8Array) => Uint8Array;
  error: typeof FormatError | typeof UnsupportedError;
  message: RegExp;
  place?: Partial<DeltaLLMError["place"]>;
}

const cases: Case[] = [
  {
    what: "version 1",
    odd: { version: 1 },
    error: UnsupportedError,
    message: /version 1 is not read/,
    place: { offset: 4 },
  },
  { what: "version 4", odd: { version: 4 }, error: UnsupportedError, message: /version 4/ },
  {
    what: "big endian",
    odd: { version: 0x03000000 },
    error: UnsupportedError,
    message: /big-endian/,
    place: { offset: 4 },
  },
  {
    what: "absurd tensor count",
    odd: { tensorCount: BIG },
    error: FormatError,
    message: /number of tensors is \d+/,
    place: { offset: 8 },
  },
  {
    what: "absurd metadata count",
    odd: { metadataCount: BIG },
    error: FormatError,
    message: /metadata entries/,
    place: { offset: 16 },
  },
  { what: "more tensors than there are", odd: { tensorCount: 13 }, error: FormatError, message: /tensor|ends/ },
  {
    what: "a key twice",
    entries: [...entries, entries[1] as Entry],
    error: FormatError,
    message: /stands twice/,
    place: { key: "general.name" },
  },
  {
    what: "nested arrays",
    entries: [...entries, ["x", Kind.array, [Kind.array, [[Kind.u8, [1]]]]]],
    error: UnsupportedError,
    message: /Arrays of arrays/,
    place: { key: "x" },
  },
  {
    what: "an unknown value type",
    entries: [...entries, ["x", 77, 0]],
    error: FormatError,
    message: /Unknown metadata type 77/,
    place: { key: "x" },
  },
  {
    what: "a string longer than the file",
    damage: (bytes) => patchAfter(bytes, "general.name", 4, 10_000_000n),
    error: FormatError,
    message: /ends inside its header/,
  },
  {
    what: "a string longer than anything",
    damage: (bytes) => patchAfter(bytes, "general.name", 4, BIG),
    error: FormatError,
    message: /length of general.name is \d+/,
    place: { key: "general.name" },
  },
  {
    what: "an array longer than the file",
    damage: (bytes) => patchAfter(bytes, "tokenizer.ggml.tokens", 8, 1_000_000n),
    error: FormatError,
    message: /1000000 elements do not fit/,
    place: { key: "tokenizer.ggml.tokens" },
  },
  {
    what: "an array longer than anything",
    damage: (bytes) => patchAfter(bytes, "tokenizer.ggml.token_type", 8, BIG),
    error: FormatError,
    message: /length of tokenizer.ggml.token_type/,
  },
  {
    what: "alignment 3",
    entries: [...entries, ["general.alignment", Kind.u32, 3]],
    error: FormatError,
    message: /alignment is 3/,
    place: { key: "general.alignment" },
  },
  {
    what: "a tensor twice",
    tensors: [...tensors, tensors[1] as WrittenTensor],
    error: FormatError,
    message: /stands twice/,
    place: { tensor: "output_norm.weight" },
  },
  {
    what: "overlapping tensors",
    tensors: change("output_norm.weight", { offset: 0 }),
    error: FormatError,
    message: /overlaps/,
  },
  {
    what: "a misaligned tensor",
    tensors: change("output_norm.weight", { offset: 132 }),
    error: FormatError,
    message: /not a multiple of 32/,
  },
  {
    what: "a tensor outside the file",
    tensors: change("output_norm.weight", { offset: 1 << 20 }),
    error: FormatError,
    message: /needs 32 bytes, the file has 0/,
    place: { tensor: "output_norm.weight" },
  },
  {
    what: "an unknown tensor type",
    tensors: change("output_norm.weight", { type: 99 }),
    error: UnsupportedError,
    message: /type 99/,
    place: { tensor: "output_norm.weight" },
  },
  {
    what: "a type that is not supported",
    tensors: change("output_norm.weight", { type: 20 }),
    error: UnsupportedError,
    message: /IQ4_NL \(type 20\) are not supported/,
  },
  {
    what: "columns that are not whole blocks",
    tensors: change("blk.0.attn_q.weight", { type: 8 }),
    error: FormatError,
    message: /8 columns are not whole blocks of 32/,
  },
  {
    what: "no dimensions",
    tensors: change("output_norm.weight", { ne: [] }),
    error: FormatError,
    message: /0 dimensions/,
  },
  {
    what: "five dimensions",
    tensors: change("output_norm.weight", { ne: [8, 1, 1, 1, 1] }),
    error: FormatError,
    message: /5 dimensions/,
  },
  {
    what: "an empty tensor",
    tensors: change("output_norm.weight", { ne: [0] }),
    error: FormatError,
    message: /empty or too large/,
  },
  {
    what: "a tensor beyond 2^53",
    tensors: change("output_norm.weight", { ne: [2 ** 40, 2 ** 40] }),
    error: FormatError,
    message: /empty or too large/,
  },
  {
    what: "a missing tensor",
    tensors: tensors.filter(({ name }) => name !== "blk.0.ffn_up.weight"),
    error: FormatError,
    message: /lacks a tensor/,
    place: { tensor: "blk.0.ffn_up.weight" },
  },
  {
    what: "another shape",
    tensors: change("blk.0.attn_k.weight", { ne: [4, 8] }),
    error: FormatError,
    message: /demands the shape \[4, 8\], the file has \[8, 4\]/,
    place: { tensor: "blk.0.attn_k.weight" },
  },
  {
    what: "a bias that is not the architecture's",
    tensors: [...tensors, { name: "blk.0.attn_norm.bias", ne: [8], type: 0, bytes: new Uint8Array(32) }],
    error: UnsupportedError,
    message: /no place for this bias/,
  },
  {
    what: "no architecture",
    entries: withoutEntry(entries, "general.architecture"),
    error: FormatError,
    message: /names no architecture/,
  },
  {
    what: "another architecture",
    entries: withEntry(entries, "general.architecture", Kind.string, "mamba"),
    error: UnsupportedError,
    message: /"mamba" are not supported .*llama, bitnet.*qwen3/,
  },
  {
    what: "a missing number",
    entries: withoutEntry(entries, "llama.block_count"),
    error: FormatError,
    message: /lacks a key/,
    place: { key: "llama.block_count" },
  },
  {
    what: "a string for a number",
    entries: withEntry(entries, "llama.block_count", Kind.string, "1"),
    error: FormatError,
    message: /not a number/,
    place: { key: "llama.block_count" },
  },
  {
    what: "a billion layers",
    entries: withEntry(entries, "llama.block_count", Kind.u32, 1e9),
    error: FormatError,
    message: /layers = 1000000000/,
  },
  {
    what: "no layers",
    entries: withEntry(entries, "llama.block_count", Kind.u32, 0),
    error: FormatError,
    message: /layers = 0/,
  },
  {
    what: "more layers than tensors",
    entries: withEntry(entries, "llama.block_count", Kind.u32, 1_000_000),
    error: FormatError,
    message: /lacks a tensor/,
    place: { tensor: "blk.1.attn_norm.weight" },
  },
  {
    what: "no heads",
    entries: withEntry(entries, "llama.attention.head_count", Kind.u32, 0),
    error: FormatError,
    message: /heads = 0/,
  },
  {
    what: "uneven KV heads",
    entries: withEntry(entries, "llama.attention.head_count_kv", Kind.u32, 3),
    error: FormatError,
    message: /2 heads cannot share 3/,
  },
  {
    what: "a partly rotated head",
    entries: withEntry(entries, "llama.rope.dimension_count", Kind.u32, 2),
    error: UnsupportedError,
    message: /rope.dimension_count of 2/,
  },
  {
    what: "epsilon 0",
    entries: withEntry(entries, "llama.attention.layer_norm_rms_epsilon", Kind.f32, 0),
    error: FormatError,
    message: /epsilon/,
  },
  {
    what: "a RoPE base of NaN",
    entries: withEntry(entries, "llama.rope.freq_base", Kind.f32, Number.NaN),
    error: FormatError,
    message: /RoPE base is NaN/,
  },
  {
    what: "experts",
    entries: withEntry(entries, "llama.expert_count", Kind.u32, 8),
    error: UnsupportedError,
    message: /experts/,
  },
  {
    what: "yarn",
    entries: [...entries, ["llama.rope.scaling.type", Kind.string, "yarn"], ["llama.rope.scaling.factor", Kind.f32, 4]],
    error: UnsupportedError,
    message: /type yarn/,
  },
  {
    what: "another vocabulary size",
    entries: withEntry(entries, "llama.vocab_size", Kind.u32, 5),
    error: FormatError,
    message: /says 5 tokens, the embedding has 4/,
  },
  {
    what: "more tokens than rows",
    entries: withEntry(entries, "tokenizer.ggml.tokens", Kind.array, [Kind.string, ["a", "b", "c", "d", "e"]]),
    error: FormatError,
    message: /5 tokens, but the embedding has 4/,
  },
  {
    what: "fewer types than tokens",
    entries: withEntry(entries, "tokenizer.ggml.token_type", Kind.array, [Kind.i32, [1]]),
    error: FormatError,
    message: /1 entries for 4 tokens/,
  },
  {
    what: "BOS outside",
    entries: withEntry(entries, "tokenizer.ggml.bos_token_id", Kind.u32, 4),
    error: FormatError,
    message: /id 4 is outside/,
    place: { key: "tokenizer.ggml.bos_token_id" },
  },
  {
    what: "another tokenizer",
    entries: withEntry(entries, "tokenizer.ggml.model", Kind.string, "bert"),
    error: UnsupportedError,
    message: /"bert" is not supported/,
  },
];

for (const { what, error, message, place, damage, odd, ...parts } of cases) {
  test(`refused: ${what}`, async () => {
    const bytes = writeGguf(parts.entries ?? entries, parts.tensors ?? tensors, odd);
    const found = await rejection(openModel(damage ? damage(bytes) : bytes));
    assert.instance(found, error, found.stack);
    assert.match(found.message, message);
    assert.ok(found.message.includes("bytes in memory"), `no file name in: ${found.message}`);
    for (const [key, value] of Object.entries(place ?? {})) {
      assert.is((found as DeltaLLMError).place[key as keyof DeltaLLMError["place"]], value);
    }
  });
}

test("the tiny model itself opens", async () => {
  const file = await openModel(writeGguf(entries, tensors));
  assert.is(file.config.headDim, 4);
  assert.is(file.config.ropeTheta, 10_000);
  assert.equal(file.notes, []);
});

test("an alignment of its own is kept", async () => {
  const file = await openModel(
    writeGguf([...entries, ["general.alignment", Kind.u32, 256]], tensors, { alignment: 256 }),
  );
  assert.ok(file.allTensors.every(({ offset }) => offset % 256 === 0));
});

test("every truncation of a real file is refused, none accepted", async () => {
  const bytes = new Uint8Array(readFileSync(fixture("golden", "llama-mini", "llama-mini-q4_0.gguf")));
  for (let length = 0; length < bytes.length; length += length < 12_000 ? 37 : 997) {
    const found = await rejection(openModel(bytes.subarray(0, length)));
    assert.ok(found instanceof FormatError || found instanceof UnsupportedError, found.stack);
  }
});

test("text that is not a model is refused with a hint", async () => {
  const found = await rejection(openModel(new TextEncoder().encode("Once upon a time")));
  assert.instance(found, UnsupportedError);
  assert.match(found.message, /neither a GGUF nor a safetensors file/);
});

test.run();
