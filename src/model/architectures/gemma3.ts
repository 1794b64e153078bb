import type { ModelConfig, SlidingWindow } from "../../config.js";
import type { Fields } from "../../formats/gguf/fields.js";
import type { JsonFields } from "../../formats/json.js";
import type { ForwardPass } from "../pass.js";
import type { LayerWeights, ModelPlan } from "../plan.js";
import { activationNamed } from "./activation.js";
import type { Architecture, TensorSpec } from "./architecture.js";
import type { LayerRole } from "./roles.js";
import { headNorms, layerTensors, modelTensors } from "./tensors.js";
import { layerTypes, slidingWindow } from "./windows.js";

/** One layer in so many sees all keys. */
const PATTERN = 6;
/** RoPE base of layers with a window where the file does not say. */
const LOCAL_THETA = 10_000;

/** Gemma 3 (text; Gemma Team 2025, arXiv 2503.19786), and EmbeddingGemma, where every token sees the later ones too. */
export const gemma3: Architecture = {
  name: "gemma3",
  gguf: ["gemma3", "gemma-embedding"],
  huggingFace: {
    classes: ["Gemma3ForCausalLM", "Gemma3TextModel", "Gemma3ForConditionalGeneration", "Gemma3Model"],
    modelTypes: ["gemma3_text", "gemma3"],
    values: {
      vocab_size: 262_208,
      hidden_size: 2304,
      intermediate_size: 9216,
      num_hidden_layers: 26,
      num_attention_heads: 8,
      num_key_value_heads: 4,
      max_position_embeddings: 131_072,
      rms_norm_eps: 1e-6,
      rope_theta: 1_000_000,
    },
    activation: "gelu-tanh",
    tied: true,
  },
  readGguf(fields, key, config) {
    return {
      activation: "gelu-tanh",
      embeddingScale: Math.sqrt(config.hidden),
      window: readGgufWindow(fields, key, config),
      logitSoftcap: fields.number(key("final_logit_softcapping")) || undefined,
      // The 27B model, known by its layers, scales by another width than that of its heads.
      ...(config.layers === 62 && { attentionScale: 1 / Math.sqrt(config.hidden / config.heads) }),
      ...(fields.string("general.architecture") === "gemma-embedding" && {
        bidirectional: true,
        dense: [
          fields.number(key("dense_2_feat_out")) ?? 4 * config.hidden,
          fields.number(key("dense_3_feat_out")) ?? config.hidden,
        ],
      }),
    };
  },
  readHuggingFace(json, config) {
    const activation = json.string("hidden_activation") ?? json.string("hidden_act");
    return {
      ...(activation !== undefined && {
        activation: activationNamed(activation, { file: json.file, key: "hidden_activation" }),
      }),
      embeddingScale: Math.sqrt(config.hidden),
      attentionScale: 1 / Math.sqrt(json.number("query_pre_attn_scalar") ?? 256),
      window: readWindow(json, config),
      logitSoftcap: json.number("final_logit_softcapping"),
      bidirectional: json.boolean("use_bidirectional_attention") || undefined,
    };
  },
  model(config) {
    const specs = modelTensors(config).map((spec) => (spec.role === "outputNorm" ? { ...spec, lessBy: 1 } : spec));
    if (!config.dense) return specs;
    const [wide, out] = config.dense;
    return [
      ...specs,
      { role: "dense2", gguf: "dense_2.weight", shape: [wide, config.hidden], optional: true },
      { role: "dense3", gguf: "dense_3.weight", shape: [out, wide], optional: true },
    ];
  },
  layer(config) {
    const shape = [config.hidden];
    const ffnNorm = "pre_feedforward_layernorm.weight";
    const specs: TensorSpec<LayerRole>[] = [
      ...layerTensors(config).map((spec) => (spec.role === "ffnNorm" ? { ...spec, huggingFace: ffnNorm } : spec)),
      ...headNorms(config),
      {
        role: "attentionPostNorm",
        gguf: "post_attention_norm.weight",
        huggingFace: "post_attention_layernorm.weight",
        shape,
      },
      { role: "ffnPostNorm", gguf: "post_ffw_norm.weight", huggingFace: "post_feedforward_layernorm.weight", shape },
    ];
    // Every norm multiplies by 1 + w; converters to GGUF have added the 1.
    return specs.map((spec) => (spec.shape.length === 1 ? { ...spec, lessBy: 1 } : spec));
  },
  run: gemma3Layer,
};

/** One layer of Gemma 3 over n tokens: the norm of each head, and a norm of what each half adds to the residual stream. */
export function gemma3Layer(pass: ForwardPass, { config }: ModelPlan, w: LayerWeights, layer: number): void {
  const { hidden, normed, queries, keys, attended, gate, up } = pass.buffers;

  pass.norm(normed, hidden, w.attentionNorm, config.hidden); //   a = rms(h)                            [n, hidden]
  pass.queryKeyValue(normed, w); //                               q = Wq·a                              [n, heads · d]
  //                                                              k = Wk·a                              [n, kvHeads · d]
  //                                                              v = Wv·a                              [n, kvHeads · d]
  pass.headNorm(queries, w.queryNorm, config.heads); //           q = rms(q) of each head
  pass.headNorm(keys, w.keyNorm, config.kvHeads); //              k = rms(k) of each head
  pass.rope(layer); //                                            q, k turned by their positions, base of the layer
  pass.attention(layer); //                                       o = softmax(q·kᵀ · scale + mask of the layer)·v
  pass.residual("attention output", attended, w.output, 0, w.attentionPostNorm); //  h += rms(Wo·o)     [n, hidden]

  pass.norm(normed, hidden, w.ffnNorm, config.hidden); //         f = rms(h)                            [n, hidden]
  pass.linear("gate, up", normed, [
    [gate, w.gate], //                                            g = Wgate·f                           [n, ffn]
    [up, w.up], //                                                u = Wup·f                             [n, ffn]
  ]);
  pass.gate(w); //                                                 g = gelu(g) · u
  pass.residual("down", gate, w.down, 0, w.ffnPostNorm); //       h += rms(Wdown·g)                     [n, hidden]
}

function readGgufWindow(fields: Fields, key: (name: string) => string, config: ModelConfig): SlidingWindow | undefined {
  const size = fields.uniformNumber(key("attention.sliding_window"));
  if (!size) return undefined;
  const theta = fields.number(key("rope.freq_base_swa")) ?? LOCAL_THETA;
  return slidingWindow(size, local(PATTERN), config.layers, theta);
}

function readWindow(json: JsonFields, config: ModelConfig): SlidingWindow | undefined {
  const pattern = json.number("sliding_window_pattern") ?? json.number("_sliding_window_pattern") ?? PATTERN;
  const size = json.number("sliding_window") ?? (json.get("layer_types") ? 4096 : undefined);
  if (size === undefined) return undefined;
  const parameters = json.object("rope_parameters")?.object("sliding_attention");
  const theta = parameters?.number("rope_theta") ?? json.number("rope_local_base_freq") ?? LOCAL_THETA;
  return slidingWindow(size, layerTypes(json, config.layers) ?? local(pattern), config.layers, theta);
}

/** All layers but every `pattern`th. */
function local(pattern: number): (layer: number) => boolean {
  return (layer) => (layer + 1) % pattern !== 0;
}
