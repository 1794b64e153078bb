import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FormatError, UnsupportedError } from "#src/errors.js";
import { openModel } from "#src/formats/open.js";
import { fixture } from "../helpers/fixtures.js";
import { type Entry, Kind, type WrittenTensor, writeGguf } from "../helpers/gguf-writer.js";
import { BIG, change, entries, patchAfter, refuse, tensors } from "./refused-gguf.js";
import { rejection } from "./source-conformance.js";

refuse([
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
]);

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
