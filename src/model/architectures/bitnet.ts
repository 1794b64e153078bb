import type { ModelConfig } from "../../config.js";
import type { Fields } from "../../formats/gguf/fields.js";
import type { ForwardPass } from "../pass.js";
import type { LayerWeights, ModelPlan } from "../plan.js";
import { activationNamed } from "./activation.js";
import type { Architecture } from "./architecture.js";
import { layerTensors, modelTensors } from "./tensors.js";

/** BitNet b1.58: two norms more than Llama. */
export const bitnet: Architecture = {
  name: "bitnet",
  gguf: ["bitnet", "bitnet-25", "bitnet-b1.58"],
  huggingFace: {
    classes: ["BitNetForCausalLM"],
    modelTypes: ["bitnet"],
    values: {
      vocab_size: 128_256,
      hidden_size: 2560,
      intermediate_size: 6912,
      num_hidden_layers: 30,
      num_attention_heads: 20,
      num_key_value_heads: 5,
      max_position_embeddings: 2048,
      rms_norm_eps: 1e-5,
      rope_theta: 500_000,
    },
    activation: "relu2",
  },
  ternary: true,
  gated: true,
  readGguf: (fields, key, config) => ({ activation: readActivation(fields, key("hidden_activation"), config) }),
  model: modelTensors,
  layer(config) {
    const { heads, headDim, ffn } = config;
    const name = "self_attn.attn_sub_norm.weight";
    return [
      ...layerTensors(config),
      { role: "attentionSubNorm", gguf: "attn_sub_norm.weight", huggingFace: name, shape: [heads * headDim] },
      { role: "ffnSubNorm", gguf: "ffn_sub_norm.weight", huggingFace: "mlp.ffn_sub_norm.weight", shape: [ffn] },
    ];
  },
  run: bitnetLayer,
};

/**
 * One layer of BitNet b1.58 (Ma et al. 2025, arXiv 2504.12285) over n tokens: Llama's with ternary matrices, relu²
 * and a norm before each of the two products that return to the residual stream.
 */
export function bitnetLayer(pass: ForwardPass, { config }: ModelPlan, w: LayerWeights, layer: number): void {
  const { hidden, normed, attended, gate } = pass.buffers;
  const attendedSize = config.heads * config.headDim;

  pass.norm(normed, hidden, w.attentionNorm, config.hidden); //         a = rms(h)                       [n, hidden]
  pass.queryKeyValue(normed, w); //                                     q = Wq·a                         [n, heads · d]
  //                                                                    k = Wk·a                         [n, kvHeads · d]
  //                                                                    v = Wv·a                         [n, kvHeads · d]
  pass.rope(layer); //                                                  q, k turned by their positions
  pass.attention(layer); //                                             o = softmax(q·kᵀ / √d + causal)·v [n, heads · d]
  pass.norm(normed, attended, w.attentionSubNorm, attendedSize); //     o = rms(o)
  pass.residual("attention output", normed, w.output); //               h += Wo·o                        [n, hidden]

  pass.norm(normed, hidden, w.ffnNorm, config.hidden); //               f = rms(h)                       [n, hidden]
  pass.gated(normed, w); //                                             g = relu(Wgate·f)² · (Wup·f)     [n, ffn]
  pass.norm(gate, gate, w.ffnSubNorm, config.ffn); //                   g = rms(g)
  pass.residual("down", gate, w.down); //                               h += Wdown·g                     [n, hidden]
}

/**
 * No GGUF key tells the gate of BitNet for certain. BitNet-2B-4T (`bitnet-25`, `bitnet-b1.58`) has relu²; the older
 * models under the plain name have SiLU, but upstream files of 2B-4T use that name too and are known by their shape.
 */
function readActivation(fields: Fields, key: string, { layers, hidden }: ModelConfig): ModelConfig["activation"] {
  const named = fields.string(key);
  if (named !== undefined) return activationNamed(named, { file: fields.file, key });
  const plain = fields.string("general.architecture") === "bitnet";
  return !plain || (layers === 30 && hidden === 2560) ? "relu2" : "silu";
}
