import type { LongRope, ModelConfig } from "../../config.js";
import { ropeDimOf } from "../../config.js";
import { FormatError } from "../../errors.js";
import type { JsonFields } from "../../formats/json.js";
import type { Architecture, TensorSpec } from "./architecture.js";
import { llamaLayer } from "./llama.js";
import { naturalLogarithm } from "./logarithm.js";
import type { LayerRole } from "./roles.js";
import { layerTensors, modelTensors } from "./tensors.js";
import { slidingWindow } from "./windows.js";

/** Phi-3 and Phi-4-mini: Llama with joined matrices, partial RoPE, and LongRoPE. */
export const phi3: Architecture = {
  name: "phi3",
  gguf: ["phi3"],
  huggingFace: {
    classes: ["Phi3ForCausalLM", "Phi3Model"],
    modelTypes: ["phi3"],
    values: {
      vocab_size: 32_064,
      hidden_size: 3072,
      intermediate_size: 8192,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      max_position_embeddings: 4096,
      rms_norm_eps: 1e-5,
      rope_theta: 10_000,
    },
    activation: "silu",
  },
  partialRope: true,
  readGguf(fields, key, { contextLength }) {
    const original = fields.number(key("rope.scaling.original_context_length")) ?? contextLength;
    const magnitude = fields.number(key("rope.scaling.attn_factor")) ?? magnitudeOf(contextLength, original);
    // The factors are tensors, put in when they have been read.
    return { longRope: { shortFactors: [], longFactors: [], originalContextLength: original, magnitude } };
  },
  readHuggingFace(json, config) {
    const size = json.number("sliding_window");
    return {
      longRope: readLongRope(json, config),
      window:
        size !== undefined && size < config.contextLength ? slidingWindow(size, () => true, config.layers) : undefined,
    };
  },
  model(config) {
    const shape = [ropeDimOf(config) / 2];
    return [
      ...modelTensors(config),
      { role: "shortFactors", gguf: "rope_factors_short.weight", shape, optional: true },
      { role: "longFactors", gguf: "rope_factors_long.weight", shape, optional: true },
    ];
  },
  layer(config) {
    const { heads, kvHeads, headDim, ffn } = config;
    const all = (heads + 2 * kvHeads) * headDim;
    const qkv = { gguf: "attn_qkv.weight", huggingFace: "self_attn.qkv_proj.weight" };
    const gateUp = { gguf: "ffn_up.weight", huggingFace: "mlp.gate_up_proj.weight" };
    const joined: Partial<Record<LayerRole, Partial<TensorSpec<LayerRole>>>> = {
      query: { ...qkv, rows: { first: 0, of: all } },
      key: { ...qkv, rows: { first: heads * headDim, of: all } },
      value: { ...qkv, rows: { first: (heads + kvHeads) * headDim, of: all } },
      gate: { ...gateUp, rows: { first: 0, of: 2 * ffn } },
      up: { ...gateUp, rows: { first: ffn, of: 2 * ffn } },
    };
    return layerTensors(config).map((spec) => ({ ...spec, ...joined[spec.role] }));
  },
  run: llamaLayer,
};

/** In transformers 5 everything is under `rope_parameters`, before it under `rope_scaling`; some keys stand outside. */
function readLongRope(json: JsonFields, config: ModelConfig): LongRope | undefined {
  const rope = json.object("rope_parameters") ?? json.object("rope_scaling");
  const type = rope?.string("rope_type") ?? rope?.string("type");
  if (!rope || (type !== "longrope" && type !== "su")) return undefined;
  const key = "original_max_position_embeddings";
  const original = rope.number(key) ?? json.number(key) ?? 4096;
  const list = (name: string) => {
    const factors = rope.numbers(name);
    if (factors?.length === ropeDimOf(config) / 2) return factors;
    throw new FormatError(`${factors?.length ?? 0} factors for ${ropeDimOf(config) / 2} pairs`, {
      file: json.file,
      key: name,
    });
  };
  const factor = rope.number("factor") ?? config.contextLength / original;
  return {
    shortFactors: list("short_factor"),
    longFactors: list("long_factor"),
    originalContextLength: original,
    magnitude: rope.number("attention_factor") ?? magnitudeOf(factor * original, original),
  };
}

/** √(1 + ln(longest / original) / ln original): keeps the entropy of attention over a longer context. */
function magnitudeOf(longest: number, original: number): number {
  return longest <= original ? 1 : Math.sqrt(1 + naturalLogarithm(longest / original) / naturalLogarithm(original));
}
