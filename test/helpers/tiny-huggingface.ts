import { filesFolder, type ModelFolder } from "#src/formats/folder.js";
import { type PlainTensor, writeSafetensors } from "./safetensors-writer.js";

/** JSON of a Hugging Face file. */
export type Json = Record<string, unknown>;

/** Files of a folder, as JSON or bytes. */
export type Files = Record<string, Json | Uint8Array | string>;

export const tinyConfig: Json = {
  architectures: ["LlamaForCausalLM"],
  hidden_size: 8,
  intermediate_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  vocab_size: 8,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
  bos_token_id: 5,
  eos_token_id: 6,
};

export const tinyTokenizer: Json = {
  added_tokens: [
    { id: 5, content: "<|begin_of_text|>", special: true },
    { id: 6, content: "<|end_of_text|>", special: true },
    { id: 7, content: "<|eot_id|>", special: true },
  ],
  normalizer: null,
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
  post_processor: null,
  model: { type: "BPE", vocab: { a: 0, b: 1, c: 2, ab: 3, abc: 4 }, merges: ["a b", ["ab", "c"]] },
};

/** Zeros of a plain dtype. */
export function zeros(dtype: "F32" | "BF16" | "F16", ...shape: number[]): PlainTensor {
  const values = shape.reduce((product, each) => product * each, 1);
  return { dtype, shape, bytes: new Uint8Array(values * (dtype === "F32" ? 4 : 2)) };
}

/** Tensors of the tiny model; `bitnet` adds the sub-norms. */
export function tinyTensors(bitnet = false): Record<string, PlainTensor> {
  const layer = "model.layers.0.";
  const subNorms = {
    [`${layer}self_attn.attn_sub_norm.weight`]: zeros("BF16", 8),
    [`${layer}mlp.ffn_sub_norm.weight`]: zeros("BF16", 16),
  };
  return {
    "model.embed_tokens.weight": zeros("BF16", 8, 8),
    "model.norm.weight": zeros("BF16", 8),
    [`${layer}input_layernorm.weight`]: zeros("BF16", 8),
    [`${layer}post_attention_layernorm.weight`]: zeros("BF16", 8),
    [`${layer}self_attn.q_proj.weight`]: zeros("BF16", 8, 8),
    [`${layer}self_attn.k_proj.weight`]: zeros("BF16", 4, 8),
    [`${layer}self_attn.v_proj.weight`]: zeros("BF16", 4, 8),
    [`${layer}self_attn.o_proj.weight`]: zeros("BF16", 8, 8),
    [`${layer}mlp.gate_proj.weight`]: zeros("BF16", 16, 8),
    [`${layer}mlp.up_proj.weight`]: zeros("BF16", 16, 8),
    [`${layer}mlp.down_proj.weight`]: zeros("BF16", 8, 16),
    ...(bitnet ? subNorms : {}),
  };
}

/** The matrices packed four rows to a byte, each with a scale. */
export function packed(
  tensors: Record<string, PlainTensor>,
  scale: PlainTensor = { dtype: "F32", shape: [1], bytes: new Uint8Array(Float32Array.of(0.25).buffer) },
): Record<string, PlainTensor> {
  const out: Record<string, PlainTensor> = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    if (!name.endsWith("_proj.weight")) {
      out[name] = tensor;
      continue;
    }
    const [rows, columns] = tensor.shape as [number, number];
    out[name] = { dtype: "U8", shape: [rows / 4, columns], bytes: new Uint8Array((rows / 4) * columns) };
    out[name.replace(/weight$/, "weight_scale")] = scale;
  }
  return out;
}

/** A folder in memory: the tiny model, with files added, replaced or (when undefined) left out. */
export function tinyFolder(files: Record<string, Json | Uint8Array | string | undefined> = {}): ModelFolder {
  const all = {
    "config.json": tinyConfig,
    "tokenizer.json": tinyTokenizer,
    "model.safetensors": writeSafetensors(tinyTensors()),
    ...files,
  };
  const pairs = Object.entries(all).flatMap(([name, content]) => {
    if (content === undefined) return [];
    if (content instanceof Uint8Array) return [[name, content] as const];
    const text = typeof content === "string" ? content : JSON.stringify(content);
    return [[name, new TextEncoder().encode(text)] as const];
  });
  return filesFolder(pairs, "tiny");
}
