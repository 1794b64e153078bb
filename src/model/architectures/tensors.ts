import { type ModelConfig, ropeDimOf } from "../../config.js";
import type { TensorSpec } from "./architecture.js";
import type { LayerRole, ModelRole } from "./roles.js";

/** Embedding, last norm, head, and the divisors of RoPE frequencies that some converters compute. */
export function modelTensors(config: ModelConfig): TensorSpec<ModelRole>[] {
  const { vocab, hidden } = config;
  return [
    { role: "embedding", gguf: "token_embd.weight", huggingFace: "embed_tokens.weight", shape: [vocab, hidden] },
    { role: "outputNorm", gguf: "output_norm.weight", huggingFace: "norm.weight", shape: [hidden] },
    { role: "head", gguf: "output.weight", huggingFace: "lm_head.weight", shape: [vocab, hidden], optional: true },
    { role: "ropeFactors", gguf: "rope_freqs.weight", shape: [ropeDimOf(config) / 2], optional: true },
  ];
}

/**
 * What every layer of the Llama family has.
 * @param paired GGUF files hold the rows of queries and keys in neighbour pairs
 */
export function layerTensors(config: ModelConfig, { paired = false } = {}): TensorSpec<LayerRole>[] {
  const { hidden, ffn, heads, kvHeads, headDim } = config;
  const all = heads * headDim;
  const kv = kvHeads * headDim;
  return [
    { role: "attentionNorm", gguf: "attn_norm.weight", huggingFace: "input_layernorm.weight", shape: [hidden] },
    { role: "query", gguf: "attn_q.weight", huggingFace: "self_attn.q_proj.weight", shape: [all, hidden], paired },
    { role: "key", gguf: "attn_k.weight", huggingFace: "self_attn.k_proj.weight", shape: [kv, hidden], paired },
    { role: "value", gguf: "attn_v.weight", huggingFace: "self_attn.v_proj.weight", shape: [kv, hidden] },
    { role: "output", gguf: "attn_output.weight", huggingFace: "self_attn.o_proj.weight", shape: [hidden, all] },
    { role: "ffnNorm", gguf: "ffn_norm.weight", huggingFace: "post_attention_layernorm.weight", shape: [hidden] },
    { role: "gate", gguf: "ffn_gate.weight", huggingFace: "mlp.gate_proj.weight", shape: [ffn, hidden] },
    { role: "up", gguf: "ffn_up.weight", huggingFace: "mlp.up_proj.weight", shape: [ffn, hidden] },
    { role: "down", gguf: "ffn_down.weight", huggingFace: "mlp.down_proj.weight", shape: [hidden, ffn] },
  ];
}

/** Biases of queries, keys and values. */
export function inputBiases(
  { heads, kvHeads, headDim }: ModelConfig,
  { paired = false, optional = true } = {},
): TensorSpec<LayerRole>[] {
  const [all, kv] = [[heads * headDim], [kvHeads * headDim]];
  return [
    { role: "queryBias", gguf: "attn_q.bias", huggingFace: "self_attn.q_proj.bias", shape: all, paired, optional },
    { role: "keyBias", gguf: "attn_k.bias", huggingFace: "self_attn.k_proj.bias", shape: kv, paired, optional },
    { role: "valueBias", gguf: "attn_v.bias", huggingFace: "self_attn.v_proj.bias", shape: kv, optional },
  ];
}

/** Biases of every other product of a layer, for formats that allow them. */
export function otherBiases({ hidden, ffn }: ModelConfig): TensorSpec<LayerRole>[] {
  const optional = true;
  return [
    { role: "outputBias", gguf: "attn_output.bias", huggingFace: "self_attn.o_proj.bias", shape: [hidden], optional },
    { role: "gateBias", gguf: "ffn_gate.bias", huggingFace: "mlp.gate_proj.bias", shape: [ffn], optional },
    { role: "upBias", gguf: "ffn_up.bias", huggingFace: "mlp.up_proj.bias", shape: [ffn], optional },
    { role: "downBias", gguf: "ffn_down.bias", huggingFace: "mlp.down_proj.bias", shape: [hidden], optional },
  ];
}

/** Norms of each head of queries and keys, one weight vector for all heads. */
export function headNorms({ headDim }: ModelConfig): TensorSpec<LayerRole>[] {
  return [
    { role: "queryNorm", gguf: "attn_q_norm.weight", huggingFace: "self_attn.q_norm.weight", shape: [headDim] },
    { role: "keyNorm", gguf: "attn_k_norm.weight", huggingFace: "self_attn.k_norm.weight", shape: [headDim] },
  ];
}
