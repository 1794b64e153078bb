import { type Entry, Kind, type WrittenTensor } from "./gguf-writer.js";

/** A Llama model of one layer as small as one can be, all F32 zeros; tests change what they need. */
export function tinyLlama({ tokens = ["a", "b", "c", "d"] }: { tokens?: string[] } = {}): {
  entries: Entry[];
  tensors: WrittenTensor[];
} {
  const hidden = 8;
  const ffn = 16;
  const kv = 4;
  const vocab = tokens.length;
  const tensor = (name: string, ...ne: number[]): WrittenTensor => ({
    name,
    ne,
    type: 0,
    bytes: new Uint8Array(4 * ne.reduce((product, each) => product * each, 1)),
  });
  return {
    entries: [
      ["general.architecture", Kind.string, "llama"],
      ["general.name", Kind.string, "tiny"],
      ["llama.block_count", Kind.u32, 1],
      ["llama.context_length", Kind.u32, 64],
      ["llama.embedding_length", Kind.u32, hidden],
      ["llama.feed_forward_length", Kind.u32, ffn],
      ["llama.attention.head_count", Kind.u32, 2],
      ["llama.attention.head_count_kv", Kind.u32, 1],
      ["llama.attention.layer_norm_rms_epsilon", Kind.f32, 1e-5],
      ["tokenizer.ggml.model", Kind.string, "gpt2"],
      ["tokenizer.ggml.pre", Kind.string, "gpt-2"],
      ["tokenizer.ggml.tokens", Kind.array, [Kind.string, tokens]],
      ["tokenizer.ggml.token_type", Kind.array, [Kind.i32, tokens.map((text) => (/^<\|.*\|>$/.test(text) ? 3 : 1))]],
      ["tokenizer.ggml.merges", Kind.array, [Kind.string, ["a b"]]],
    ],
    tensors: [
      tensor("token_embd.weight", hidden, vocab),
      tensor("output_norm.weight", hidden),
      tensor("blk.0.attn_norm.weight", hidden),
      tensor("blk.0.attn_q.weight", hidden, hidden),
      tensor("blk.0.attn_k.weight", hidden, kv),
      tensor("blk.0.attn_v.weight", hidden, kv),
      tensor("blk.0.attn_output.weight", hidden, hidden),
      tensor("blk.0.ffn_norm.weight", hidden),
      tensor("blk.0.ffn_gate.weight", hidden, ffn),
      tensor("blk.0.ffn_up.weight", hidden, ffn),
      tensor("blk.0.ffn_down.weight", ffn, hidden),
    ],
  };
}

/** `entries` with the value of one key replaced, or the entry added. */
export function withEntry(entries: readonly Entry[], key: string, kind: number, value: unknown): Entry[] {
  return [...entries.filter(([each]) => each !== key), [key, kind, value]];
}

/** `entries` without one key. */
export function withoutEntry(entries: readonly Entry[], key: string): Entry[] {
  return entries.filter(([each]) => each !== key);
}
