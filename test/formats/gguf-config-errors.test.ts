import { test } from "uvu";
import { FormatError, UnsupportedError } from "#src/errors.js";
import { Kind } from "../helpers/gguf-writer.js";
import { withEntry, withoutEntry } from "../helpers/tiny-gguf.js";
import { change, entries, refuse, tensors } from "./refused-gguf.js";

refuse([
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
]);

test.run();
