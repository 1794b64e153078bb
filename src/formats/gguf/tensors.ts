import { UnsupportedError } from "../../errors.js";
import type { ModelConfig } from "../../model/config.js";
import type { Catalogue } from "../catalogue.js";
import type { LayerTensors, LinearTensor, ModelTensors, TensorInfo } from "../model-file.js";
import { readPlainValues } from "../plain-values.js";

/**
 * Finds every tensor the configuration demands and checks its shape. `llama` files hold the rows of q and k in
 * neighbour pairs (llama.cpp conversion/llama.py `permute`), `bitnet` files do not.
 * @throws FormatError for a missing tensor or another shape; UnsupportedError for a bias.
 */
export async function readGgufTensors(
  catalogue: Catalogue,
  config: ModelConfig,
  signal: AbortSignal | undefined,
): Promise<ModelTensors> {
  const { hidden, ffn, heads, kvHeads, headDim, vocab } = config;
  const bitnet = config.architecture === "bitnet";
  const rowOrder: LinearTensor["rowOrder"] = bitnet ? "halves" : "interleaved";
  const embedding = lookupMatrix(catalogue.take("token_embd.weight", [vocab, hidden]));
  const outputNorm = catalogue.takeVector("output_norm.weight", hidden);
  const separate = catalogue.takeOptional("output.weight", [vocab, hidden]);
  const head = separate && lookupMatrix(separate);
  const ropeFactors = catalogue.has("rope_freqs.weight")
    ? catalogue.takeVector("rope_freqs.weight", headDim / 2)
    : undefined;

  const layers: LayerTensors[] = [];
  const scaled: { linear: LinearTensor; scale: string }[] = [];
  for (let l = 0; l < config.layers; l++) {
    const norm = (name: string, length: number) => catalogue.takeVector(`blk.${l}.${name}.weight`, length);
    const linear = (name: string, rows: number, columns: number): LinearTensor => {
      const tensor: LinearTensor = { ...catalogue.take(`blk.${l}.${name}.weight`, [rows, columns]) };
      const scale = `blk.${l}.${name}.scale`;
      if (catalogue.has(scale)) scaled.push({ linear: tensor, scale });
      return tensor;
    };
    layers.push({
      attentionNorm: norm("attn_norm", hidden),
      query: Object.assign(linear("attn_q", heads * headDim, hidden), { rowOrder }),
      key: Object.assign(linear("attn_k", kvHeads * headDim, hidden), { rowOrder }),
      value: linear("attn_v", kvHeads * headDim, hidden),
      attentionSubNorm: bitnet ? norm("attn_sub_norm", heads * headDim) : undefined,
      output: linear("attn_output", hidden, heads * headDim),
      ffnNorm: norm("ffn_norm", hidden),
      gate: linear("ffn_gate", ffn, hidden),
      up: linear("ffn_up", ffn, hidden),
      ffnSubNorm: bitnet ? norm("ffn_sub_norm", ffn) : undefined,
      down: linear("ffn_down", hidden, ffn),
    });
  }
  for (const { linear, scale } of scaled) {
    const tensor = catalogue.takeVector(scale, 1);
    const [value] = await readPlainValues(tensor, signal);
    if (!Number.isFinite(value)) throw new UnsupportedError(`The scale is ${value}`, catalogue.place(tensor));
    linear.scale = value;
  }
  return { embedding, layers, outputNorm, head, ropeFactors };
}

/** Embedding and head are read row by row and multiplied without quantised activations. */
function lookupMatrix(tensor: TensorInfo): TensorInfo {
  if (tensor.type !== "I2_S") return tensor;
  const { name, offset, source } = tensor;
  throw new UnsupportedError("An embedding or head in I2_S is not run", { file: source.name, offset, tensor: name });
}
