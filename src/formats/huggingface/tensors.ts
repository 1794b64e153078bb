import { FormatError, UnsupportedError } from "../../errors.js";
import type { ModelConfig } from "../../model/config.js";
import { type Catalogue, isPlain } from "../catalogue.js";
import type { LayerTensors, LinearTensor, ModelTensors } from "../model-file.js";
import { readPlainValues } from "../plain-values.js";
import type { BitNetQuantisation } from "./quantisation.js";

/** Scales read at a time: they lie far apart, and over HTTP each is a request of its own. */
const SCALE_READS_AT_ONCE = 8;

/**
 * Finds every tensor the configuration demands, checks its shape, and reads the scales of packed ternary matrices.
 * @param tied Whether the head is the embedding.
 */
export async function readHuggingFaceTensors(
  catalogue: Catalogue,
  config: ModelConfig,
  quantisation: BitNetQuantisation | undefined,
  tied: boolean,
  signal: AbortSignal | undefined,
): Promise<ModelTensors> {
  const { hidden, ffn, heads, kvHeads, headDim, vocab } = config;
  const bitnet = config.architecture === "bitnet";
  const packed: { linear: LinearTensor; scale: string }[] = [];
  const plainMatrix = (name: string) => {
    const tensor = catalogue.take(name, [vocab, hidden]);
    if (isPlain(tensor.type)) return tensor;
    throw new UnsupportedError("A packed embedding or head is not run", catalogue.place(tensor));
  };
  const layers: LayerTensors[] = [];
  for (let l = 0; l < config.layers; l++) {
    const layer = `model.layers.${l}`;
    const norm = (name: string, length: number) => catalogue.takeVector(`${layer}.${name}.weight`, length);
    const linear = (name: string, rows: number, columns: number): LinearTensor => {
      const module = `${layer}.${name}`;
      const tensor: LinearTensor = { ...catalogue.take(`${module}.weight`, [rows, columns]), rowOrder: "halves" };
      if (!isPlain(tensor.type)) packed.push({ linear: tensor, scale: `${module}.weight_scale` });
      else if (quantisation?.mode === "online" && !isExcluded(module, quantisation.excluded)) {
        tensor.quantise = "absmean";
        tensor.masterScaleBf16 = tensor.type === "BF16";
      }
      return tensor;
    };
    layers.push({
      attentionNorm: norm("input_layernorm", hidden),
      query: linear("self_attn.q_proj", heads * headDim, hidden),
      key: linear("self_attn.k_proj", kvHeads * headDim, hidden),
      value: linear("self_attn.v_proj", kvHeads * headDim, hidden),
      attentionSubNorm: bitnet ? norm("self_attn.attn_sub_norm", heads * headDim) : undefined,
      output: linear("self_attn.o_proj", hidden, heads * headDim),
      ffnNorm: norm("post_attention_layernorm", hidden),
      gate: linear("mlp.gate_proj", ffn, hidden),
      up: linear("mlp.up_proj", ffn, hidden),
      ffnSubNorm: bitnet ? norm("mlp.ffn_sub_norm", ffn) : undefined,
      down: linear("mlp.down_proj", hidden, ffn),
    });
  }
  const model: ModelTensors = {
    embedding: plainMatrix("model.embed_tokens.weight"),
    layers,
    outputNorm: catalogue.takeVector("model.norm.weight", hidden),
    head: tied ? undefined : plainMatrix("lm_head.weight"),
  };
  const scaleIs = quantisation?.scaleIs;
  const [first] = packed;
  if (first && !scaleIs) {
    throw new FormatError(
      "The file holds packed ternary weights, but config.json has no quantization_config to tell their scale's use",
      catalogue.place(first.linear),
    );
  }
  for (let i = 0; i < packed.length; i += SCALE_READS_AT_ONCE) {
    await Promise.all(
      packed.slice(i, i + SCALE_READS_AT_ONCE).map(async ({ linear, scale }) => {
        const value = await readScale(catalogue, scale, signal);
        linear.scale = scaleIs === "factor" ? value : 1 / value;
      }),
    );
  }
  return model;
}

async function readScale(catalogue: Catalogue, name: string, signal: AbortSignal | undefined): Promise<number> {
  const stored = catalogue.peek(name);
  // A scale is `[1]`, in some files a scalar.
  const tensor = catalogue.take(name, stored?.shape.length === 0 ? [] : [1]);
  if (!isPlain(tensor.type)) throw new UnsupportedError("The scale is not a plain number", catalogue.place(tensor));
  const value = (await readPlainValues(tensor, signal))[0] as number;
  if (!(value > 0 && Number.isFinite(value))) throw new FormatError(`The scale is ${value}`, catalogue.place(tensor));
  return value;
}

/** transformers' rule: a name excludes the module of that path, of that last part, and everything below it. */
function isExcluded(module: string, excluded: string[]): boolean {
  return excluded.some((name) => `.${module}.`.includes(`.${name}.`));
}
