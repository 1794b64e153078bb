import type { ModelConfig, SlidingWindow } from "../../config.js";
import type { JsonFields } from "../../formats/json.js";

/**
 * Sliding windows of a config.json that has them behind `use_sliding_window` (transformers: Qwen 2, Qwen 3, SmolLM3); the
 * size it states counts for nothing when that is false.
 * @param windowed which layers have the window, where `layer_types` does not say
 */
export function readLayerWindows(
  json: JsonFields,
  config: ModelConfig,
  windowed: (layer: number) => boolean,
): SlidingWindow | undefined {
  if (!json.boolean("use_sliding_window")) return undefined;
  return slidingWindow(
    json.number("sliding_window") ?? 4096,
    layerTypes(json, config.layers) ?? windowed,
    config.layers,
  );
}

/** Whether each layer has a sliding window, by `layer_types` of config.json; undefined when it has no such list. */
export function layerTypes(json: JsonFields, layers: number): ((layer: number) => boolean) | undefined {
  const types = json.array("layer_types");
  if (!types) return undefined;
  if (types.length < layers) throw json.wrong("layer_types", `a list of ${layers} layers`);
  return (layer) => types[layer] === "sliding_attention";
}

/** Windows of `size` keys; undefined when no layer has one. */
export function slidingWindow(
  size: number,
  windowed: (layer: number) => boolean,
  layers: number,
  ropeTheta?: number,
): SlidingWindow | undefined {
  const which = Array.from({ length: layers }, (_, layer) => windowed(layer));
  return which.some(Boolean) ? { size, layers: which, ropeTheta } : undefined;
}
