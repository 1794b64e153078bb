import type { ModelConfig } from "../../config.js";
import { FormatError, UnsupportedError } from "../../errors.js";
import type { Architecture } from "../../model/architectures/index.js";
import type { Catalogue } from "../catalogue.js";
import { checkLookUp, findTensors } from "../find-tensors.js";
import type { LinearTensor, ModelTensors } from "../model-file.js";
import { readPlainValues } from "../plain-values.js";

/**
 * Finds every tensor the architecture demands, reads the scales that stand in tensors of their own, and puts the factors of
 * LongRoPE into the configuration.
 * @throws FormatError for a missing tensor or another shape
 */
export async function readGgufTensors(
  catalogue: Catalogue,
  architecture: Architecture,
  config: ModelConfig,
  signal: AbortSignal | undefined,
): Promise<ModelTensors> {
  const scaled: { linear: LinearTensor; scale: string }[] = [];
  const tensors = findTensors(catalogue, architecture, config, {
    nameOf: ({ gguf }, layer) => (gguf === undefined || layer === undefined ? gguf : `blk.${layer}.${gguf}`),
    adapt(tensor, spec, name) {
      if (spec.paired !== undefined) tensor.rowOrder = spec.paired ? "interleaved" : "halves";
      const scale = name.replace(/weight$/, "scale");
      if (spec.shape.length === 2 && catalogue.has(scale)) scaled.push({ linear: tensor, scale });
    },
  });
  checkLookUp(tensors.embedding, "An embedding");
  checkLookUp(tensors.head, "A head");
  for (const { linear, scale } of scaled) {
    const tensor = catalogue.takeVector(scale, 1);
    const [value] = await readPlainValues(tensor, signal);
    if (!Number.isFinite(value)) throw new UnsupportedError(`The scale is ${value}`, catalogue.place(tensor));
    linear.scale = value;
  }
  await readLongFactors(tensors, config, catalogue.file, signal);
  return tensors;
}

/** A file without the tensors of factors turns at the plain frequencies. */
async function readLongFactors(
  { shortFactors, longFactors }: ModelTensors,
  config: ModelConfig,
  file: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { longRope } = config;
  if (!longRope) return;
  if (!shortFactors && !longFactors) {
    config.longRope = undefined;
    return;
  }
  if (!shortFactors || !longFactors)
    throw new FormatError("Of the two tensors of RoPE factors one is missing", {
      file,
      tensor: shortFactors ? "rope_factors_long.weight" : "rope_factors_short.weight",
    });
  config.longRope = {
    ...longRope,
    shortFactors: Array.from(await readPlainValues(shortFactors, signal)),
    longFactors: Array.from(await readPlainValues(longFactors, signal)),
  };
}
