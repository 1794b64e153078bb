import type { ModelConfig } from "../../config.js";
import { FormatError, UnsupportedError } from "../../errors.js";
import type { Architecture } from "../../model/architectures/index.js";
import { type Catalogue, isPlain } from "../catalogue.js";
import { checkLookUp, findTensors } from "../find-tensors.js";
import type { LinearTensor, ModelTensors } from "../model-file.js";
import { readPlainValues } from "../plain-values.js";
import type { BitNetQuantisation } from "./quantisation.js";

/** Scales read at a time: they lie far apart, and over HTTP each is a request of its own. */
const SCALE_READS_AT_ONCE = 8;

/** What stands before the names of the text model: whole models, bare ones, and the text part of one that takes images. */
const prefixes = ["model.", "", "language_model.model.", "model.language_model."] as const;

/** What the names of the text model's tensors begin with in this folder. */
export function textPrefix(catalogue: Catalogue): string {
  return prefixes.find((prefix) => catalogue.has(`${prefix}embed_tokens.weight`)) ?? "model.";
}

/**
 * Finds every tensor the architecture demands, checks its shape, and reads the scales of packed ternary matrices.
 * @param tied Whether the head is the embedding.
 */
export async function readHuggingFaceTensors(
  catalogue: Catalogue,
  architecture: Architecture,
  config: ModelConfig,
  quantisation: BitNetQuantisation | undefined,
  tied: boolean,
  signal: AbortSignal | undefined,
): Promise<ModelTensors> {
  const prefix = textPrefix(catalogue);
  const packed: { linear: LinearTensor; scale: string }[] = [];
  const tensors = findTensors(catalogue, architecture, config, {
    nameOf({ role, huggingFace }, layer) {
      if (huggingFace === undefined || (role === "head" && tied)) return undefined;
      if (layer !== undefined) return `${prefix}layers.${layer}.${huggingFace}`;
      return role === "head" ? headName(prefix) : prefix + huggingFace;
    },
    adapt(tensor, spec, name) {
      if (spec.lessBy) tensor.add = spec.lessBy;
      if (spec.role === "embedding" || spec.role === "head" || spec.shape.length !== 2) return;
      const module = name.replace(/\.weight$/, "");
      tensor.rowOrder = "halves";
      if (!isPlain(tensor.type)) packed.push({ linear: tensor, scale: `${module}.weight_scale` });
      else if (quantisation?.mode === "online" && !isExcluded(module, quantisation.excluded)) {
        tensor.quantise = "absmean";
        tensor.masterScaleBf16 = tensor.type === "BF16";
      }
    },
  });
  checkLookUp(tensors.embedding, "An embedding");
  checkLookUp(tensors.head, "A head");
  if (!tied && !tensors.head)
    throw new FormatError("The file lacks the head that its configuration demands", {
      file: catalogue.file,
      tensor: headName(prefix),
    });
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
  return tensors;
}

/** The head stands outside of the model that is inside. */
export function headName(prefix: string): string {
  return prefix === "language_model.model." ? "language_model.lm_head.weight" : "lm_head.weight";
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
