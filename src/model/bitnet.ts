import type { ForwardPass } from "./pass.js";
import type { LayerWeights, ModelPlan } from "./plan.js";

/**
 * One layer of BitNet b1.58 (Ma et al. 2025, arXiv 2504.12285) over n tokens: Llama's with ternary matrices, relu²
 * and a norm before each of the two products that return to the residual stream.
 */
export function bitnetLayer(pass: ForwardPass, { config }: ModelPlan, weights: LayerWeights, layer: number): void {
  const { hidden, normed, queries, keys, values, attended, gate, up } = pass.buffers;
  const attendedSize = config.heads * config.headDim;

  pass.norm(normed, hidden, weights.attentionNorm, config.hidden); //     a = rms(h)                       [n, hidden]
  pass.linear("query, key, value", normed, [
    [queries, weights.query], //                                          q = Wq·a                         [n, heads · d]
    [keys, weights.key], //                                               k = Wk·a                         [n, kvHeads · d]
    [values, weights.value], //                                           v = Wv·a                         [n, kvHeads · d]
  ]);
  pass.rope(); //                                                         q, k turned by their positions
  pass.attention(layer); //                                               o = softmax(q·kᵀ / √d + causal)·v [n, heads · d]
  pass.norm(attended, attended, weights.attentionSubNorm, attendedSize); // o = rms(o)
  pass.linear("attention output", attended, [[hidden, weights.output]], true); //             h += Wo·o                        [n, hidden]

  pass.norm(normed, hidden, weights.ffnNorm, config.hidden); //           f = rms(h)                       [n, hidden]
  pass.linear("gate, up", normed, [
    [gate, weights.gate], //                                              g = Wgate·f                      [n, ffn]
    [up, weights.up], //                                                  u = Wup·f                        [n, ffn]
  ]);
  pass.gate(); //                                                         g = relu(g)² · u
  pass.norm(gate, gate, weights.ffnSubNorm, config.ffn); //               g = rms(g)
  pass.linear("down", gate, [[hidden, weights.down]], true); //                   h += Wdown·g                     [n, hidden]
}
