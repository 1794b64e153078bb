import type { ModelConfig } from "../../config.js";
import { decimal } from "../../formats/gguf/fields.js";
import type { Architecture } from "./architecture.js";
import { llamaLayer } from "./llama.js";
import { inputBiases, layerTensors, modelTensors, otherBiases } from "./tensors.js";

/** Granite 3 and 4 (dense): Llama with four factors, on the embedding, on q·k, on what a layer adds, and on the logits. */
export const granite: Architecture = {
  name: "granite",
  gguf: ["granite"],
  huggingFace: {
    classes: ["GraniteForCausalLM", "GraniteModel"],
    modelTypes: ["granite"],
    values: {
      vocab_size: 32_000,
      hidden_size: 4096,
      intermediate_size: 11_008,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      max_position_embeddings: 2048,
      rms_norm_eps: 1e-6,
      rope_theta: 10_000,
    },
    activation: "silu",
  },
  readGguf(fields, key, config) {
    return {
      // A factor of 0 stands for none (llama.cpp).
      embeddingScale: fields.decimal(key("embedding_scale")) || undefined,
      attentionScale: fields.decimal(key("attention.scale")) || undefined,
      residualScale: fields.decimal(key("residual_scale")) || undefined,
      logitDivisor: decimal(fields.requiredNumber(key("logit_scale"))) || undefined,
      ...(fields.boolean(key("rope.scaling.finetuned")) === false && { ropeLayers: none(config) }),
    };
  },
  readHuggingFace: (json) => ({
    embeddingScale: json.number("embedding_multiplier") ?? 1,
    attentionScale: json.number("attention_multiplier") ?? 1,
    residualScale: json.number("residual_multiplier") ?? 1,
    logitDivisor: json.number("logits_scaling") ?? 1,
  }),
  model: modelTensors,
  layer: (config) => [
    ...layerTensors(config, { paired: true }),
    ...inputBiases(config, { paired: true }),
    ...otherBiases(config),
  ],
  run: llamaLayer,
};

function none({ layers }: ModelConfig): boolean[] {
  return Array.from({ length: layers }, () => false);
}
