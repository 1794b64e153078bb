import type { ForwardPass } from "../pass.js";
import type { LayerWeights, ModelPlan } from "../plan.js";
import type { Architecture } from "./architecture.js";
import { inputBiases, layerTensors, modelTensors, otherBiases } from "./tensors.js";

/** Llama 1 to 3.2, SmolLM2, Mistral 7B and the like; with ternary matrices Falcon-E and Falcon3-1.58bit. */
export const llama: Architecture = {
  name: "llama",
  gguf: ["llama"],
  huggingFace: {
    classes: ["LlamaForCausalLM"],
    modelTypes: ["llama"],
    values: { max_position_embeddings: 2048, rms_norm_eps: 1e-6, rope_theta: 10_000 },
    activation: "silu",
  },
  model: modelTensors,
  layer: (config) => [
    ...layerTensors(config, { paired: true }),
    ...inputBiases(config, { paired: true }),
    ...otherBiases(config),
  ],
  run: llamaLayer,
};

/**
 * One layer of the Llama family (Touvron et al. 2023; grouped-query attention, SwiGLU) over n tokens. What an architecture
 * does not have is left out: biases b, the norm of each head (Qwen 3), the factor s (Granite; else 1).
 */
export function llamaLayer(pass: ForwardPass, { config }: ModelPlan, w: LayerWeights, layer: number): void {
  const { hidden, normed, queries, keys, attended, gate, up } = pass.buffers;

  pass.norm(normed, hidden, w.attentionNorm, config.hidden); //            a = rms(h)                        [n, hidden]
  pass.queryKeyValue(normed, w); //                                        q = Wq·a + b                      [n, heads · d]
  //                                                                       k = Wk·a + b                      [n, kvHeads · d]
  //                                                                       v = Wv·a + b                      [n, kvHeads · d]
  pass.headNorm(queries, w.queryNorm, config.heads); //                    q = rms(q) of each head
  pass.headNorm(keys, w.keyNorm, config.kvHeads); //                       k = rms(k) of each head
  pass.rope(layer); //                                                     q, k turned by their positions
  pass.attention(layer); //                                                o = softmax(q·kᵀ · scale + mask)·v [n, heads · d]
  pass.residual("attention output", attended, w.output, w.outputBias); //  h += s · (Wo·o + b)               [n, hidden]

  pass.norm(normed, hidden, w.ffnNorm, config.hidden); //                  f = rms(h)                        [n, hidden]
  pass.linear("gate, up", normed, [
    [gate, w.gate, w.gateBias], //                                         g = Wgate·f + b                   [n, ffn]
    [up, w.up, w.upBias], //                                               u = Wup·f + b                     [n, ffn]
  ]);
  pass.gate(w); //                                                          g = silu(g) · u
  pass.residual("down", gate, w.down, w.downBias); //                      h += s · (Wdown·g + b)            [n, hidden]
}
