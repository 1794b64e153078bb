import type { Architecture } from "./architecture.js";
import { llamaLayer } from "./llama.js";
import { headNorms, inputBiases, layerTensors, modelTensors, otherBiases } from "./tensors.js";
import { readLayerWindows } from "./windows.js";

/** Qwen 3: Llama with a norm of each head before the rotation, and heads whose width does not follow from `hidden`. */
export const qwen3: Architecture = {
  name: "qwen3",
  gguf: ["qwen3"],
  huggingFace: {
    classes: ["Qwen3ForCausalLM", "Qwen3Model"],
    modelTypes: ["qwen3"],
    values: {
      vocab_size: 151_936,
      hidden_size: 4096,
      intermediate_size: 22_016,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 32,
      max_position_embeddings: 32_768,
      rms_norm_eps: 1e-6,
      rope_theta: 10_000,
    },
    activation: "silu",
  },
  readHuggingFace: (json, config) => ({
    window: readLayerWindows(json, config, (layer) => layer >= (json.number("max_window_layers") ?? 28)),
  }),
  model: modelTensors,
  layer: (config) => [
    ...layerTensors(config),
    ...headNorms(config),
    ...inputBiases(config),
    ...otherBiases(config).filter(({ role }) => role === "outputBias"),
  ],
  run: llamaLayer,
};
