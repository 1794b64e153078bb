import type { ModelConfig, Pooling } from "../../config.js";
import { FormatError, UnsupportedError } from "../../errors.js";
import { type Architecture, ggufArchitecture } from "../../model/architectures/index.js";
import { checkConfig } from "../check-config.js";
import type { TensorInfo } from "../model-file.js";
import { decimal, type Fields } from "./fields.js";

/** RoPE base when the file does not say (llama.cpp). */
const DEFAULT_ROPE_THETA = 10_000;

/**
 * Reads the shape of the model from GGUF metadata. Keys are `<architecture>.<name>`; the architecture itself may have
 * dots in it.
 * @throws UnsupportedError for other architectures and for features the forward pass lacks; FormatError for bad values.
 */
export function readGgufConfig(
  fields: Fields,
  embedding: TensorInfo | undefined,
): { config: ModelConfig; architecture: Architecture } {
  const { file } = fields;
  const arch = fields.string("general.architecture");
  if (arch === undefined)
    throw new FormatError("The file names no architecture", { file, key: "general.architecture" });
  const architecture = ggufArchitecture(arch, { file, key: "general.architecture" });
  const hidden = fields.requiredNumber(`${arch}.embedding_length`);
  const heads = fields.requiredNumber(`${arch}.attention.head_count`);
  const layers = fields.requiredNumber(`${arch}.block_count`);
  const headDim = readHeadDim(fields, arch, hidden, heads);
  if (embedding?.shape.length !== 2) {
    throw new FormatError("The file has no embedding matrix", { file, tensor: "token_embd.weight" });
  }
  const vocab = embedding.shape[0] as number;
  const vocabKey = `${arch}.vocab_size`;
  const claimed = fields.number(vocabKey);
  if (claimed !== undefined && claimed !== vocab) {
    throw new FormatError(`The metadata says ${claimed} tokens, the embedding has ${vocab} rows`, {
      file,
      key: vocabKey,
    });
  }
  const scaling = readScaling(fields, arch);
  const ropeDim = readRopeDim(fields, arch, headDim, architecture);
  const config: ModelConfig = {
    architecture: architecture.name,
    name: fields.string("general.name") ?? arch,
    layers,
    hidden,
    ffn: fields.requiredNumber(`${arch}.feed_forward_length`),
    heads,
    kvHeads: fields.uniformNumber(`${arch}.attention.head_count_kv`) ?? heads,
    headDim,
    vocab,
    contextLength: fields.requiredNumber(`${arch}.context_length`),
    rmsNormEps: decimal(fields.requiredNumber(`${arch}.attention.layer_norm_rms_epsilon`)),
    ropeTheta: fields.number(`${arch}.rope.freq_base`) ?? DEFAULT_ROPE_THETA,
    activation: architecture.huggingFace.activation,
    ...(ropeDim !== headDim && { ropeDim }),
    ...(scaling !== 1 && { ropeDivisor: scaling }),
    ...readPooling(fields, `${arch}.pooling_type`),
  };
  // Checked before anything is made of its size.
  checkConfig(config, file);
  const switches = architecture.readGguf?.(fields, (name) => `${arch}.${name}`, config);
  return { config: switches ? checkConfig({ ...config, ...switches }, file) : config, architecture };
}

function readHeadDim(fields: Fields, arch: string, hidden: number, heads: number): number {
  const headDim = fields.number(`${arch}.attention.key_length`) ?? hidden / heads;
  const key = `${arch}.attention.value_length`;
  const other = fields.number(key) ?? headDim;
  if (other !== headDim)
    throw new UnsupportedError(`Heads have ${headDim} elements; values of ${other} are not supported`, {
      file: fields.file,
      key,
    });
  return headDim;
}

/** Elements of a head that are turned. In files with rows in pairs, a part would mean other rows. */
function readRopeDim(fields: Fields, arch: string, headDim: number, { partialRope }: Architecture): number {
  const key = `${arch}.rope.dimension_count`;
  const ropeDim = fields.number(key) ?? headDim;
  if (ropeDim !== headDim && !partialRope)
    throw new UnsupportedError(
      `Heads have ${headDim} elements; a different rope.dimension_count of ${ropeDim} is not supported`,
      { file: fields.file, key },
    );
  return ropeDim;
}

/** What RoPE frequencies are divided by. */
function readScaling(fields: Fields, arch: string): number {
  const refuse = (key: string, what: string) => {
    throw new UnsupportedError(what, { file: fields.file, key });
  };
  const experts = `${arch}.expert_count`;
  if ((fields.number(experts) ?? 0) > 0) refuse(experts, "Mixtures of experts are not supported");
  const scaling = `${arch}.rope.scaling.type`;
  const factor = fields.number(`${arch}.rope.scaling.factor`) ?? fields.number(`${arch}.rope.scale_linear`) ?? 1;
  const type = fields.string(scaling) ?? "linear";
  // Factor 0 means none in llama.cpp; the factors of longrope are tensors.
  if (type === "none" || type === "longrope" || factor === 1 || factor === 0) return 1;
  if (type !== "linear") refuse(scaling, `RoPE scaling of type ${type} is not supported`);
  return factor;
}

/** Numbers of `pooling_type`; 0 is none, and 4 ranks instead. */
const poolings: readonly (Pooling | undefined)[] = [undefined, "mean", "cls", "last"];

function readPooling(fields: Fields, key: string): Pick<ModelConfig, "pooling"> {
  const pooling = poolings[fields.number(key) ?? 0];
  return pooling ? { pooling } : {};
}
