import { FormatError } from "../../errors.js";
import type { JsonFields } from "../../formats/json.js";
import type { Architecture } from "./architecture.js";
import { llamaLayer } from "./llama.js";
import { inputBiases, layerTensors, modelTensors, otherBiases } from "./tensors.js";
import { readLayerWindows } from "./windows.js";

/** Every so many layers queries and keys are not turned; a constant of the architecture in GGUF files. */
const INTERVAL = 4;

/** SmolLM3: Llama without rotation in every fourth layer (Yang et al. 2025, arXiv 2501.18795). */
export const smollm3: Architecture = {
  name: "smollm3",
  gguf: ["smollm3"],
  huggingFace: {
    classes: ["SmolLM3ForCausalLM", "SmolLM3Model"],
    modelTypes: ["smollm3"],
    values: {
      vocab_size: 128_256,
      hidden_size: 2048,
      intermediate_size: 11_008,
      num_hidden_layers: 36,
      num_attention_heads: 16,
      num_key_value_heads: 4,
      max_position_embeddings: 32_768,
      rms_norm_eps: 1e-6,
      rope_theta: 2_000_000,
    },
    activation: "silu",
    tied: true,
  },
  readGguf: (_fields, _key, { layers }) => ({ ropeLayers: everyButNth(layers, INTERVAL) }),
  readHuggingFace(json, config) {
    const ropeLayers = readRopeLayers(json, config.layers);
    return { ropeLayers, window: readLayerWindows(json, config, (layer) => !ropeLayers[layer]) };
  },
  model: modelTensors,
  layer: (config) => [
    ...layerTensors(config, { paired: true }),
    ...inputBiases(config, { paired: true }),
    ...otherBiases(config),
  ],
  run: llamaLayer,
};

function everyButNth(layers: number, interval: number): boolean[] {
  return Array.from({ length: layers }, (_, layer) => (layer + 1) % interval !== 0);
}

/** `no_rope_layers` has 1 for a layer with rotation and 0 for one without. */
function readRopeLayers(json: JsonFields, layers: number): boolean[] {
  const list = json.numbers("no_rope_layers");
  if (!list) {
    const interval = json.number("no_rope_layer_interval") ?? INTERVAL;
    if (!Number.isInteger(interval) || interval < 1)
      throw new FormatError(`The interval is ${interval}`, { file: json.file, key: "no_rope_layer_interval" });
    return everyButNth(layers, interval);
  }
  if (list.length !== layers)
    throw new FormatError(`${list.length} entries for ${layers} layers`, { file: json.file, key: "no_rope_layers" });
  return list.map((turned) => turned !== 0);
}
