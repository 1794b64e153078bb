import type { Architecture } from "./architecture.js";
import { llamaLayer } from "./llama.js";
import { inputBiases, layerTensors, modelTensors } from "./tensors.js";
import { readLayerWindows } from "./windows.js";

/** Qwen 2 and 2.5: Llama with biases on queries, keys and values. */
export const qwen2: Architecture = {
  name: "qwen2",
  gguf: ["qwen2"],
  huggingFace: {
    classes: ["Qwen2ForCausalLM", "Qwen2Model"],
    modelTypes: ["qwen2"],
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
      sliding_window: 4096,
      max_window_layers: 28,
    },
    activation: "silu",
  },
  readHuggingFace: (json, config) => ({
    window: readLayerWindows(json, config, (layer) => layer >= (json.number("max_window_layers") ?? 28)),
  }),
  model: modelTensors,
  layer: (config) => [...layerTensors(config), ...inputBiases(config, { optional: false })],
  run: llamaLayer,
};
