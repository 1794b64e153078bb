import { FormatError, UnsupportedError } from "../../errors.js";
import type { ModelConfig } from "../../model/config.js";
import { checkConfig } from "../check-config.js";
import type { TensorInfo } from "../model-file.js";
import { show } from "../show.js";
import type { Fields } from "./fields.js";

/** Architecture names in GGUF files and the forward pass that runs them. */
const architectures: ReadonlyMap<string, ModelConfig["architecture"]> = new Map([
  ["llama", "llama"],
  ["bitnet", "bitnet"],
  ["bitnet-25", "bitnet"],
  ["bitnet-b1.58", "bitnet"],
]);

/** RoPE base when the file does not say (llama.cpp). */
const DEFAULT_ROPE_THETA = 10_000;

/**
 * Reads the shape of the model from GGUF metadata. Keys are `<architecture>.<name>`; the architecture itself may have
 * dots in it.
 * @throws UnsupportedError for other architectures and for features the forward pass lacks; FormatError for bad values.
 */
export function readGgufConfig(fields: Fields, embedding: TensorInfo | undefined): ModelConfig {
  const { file } = fields;
  const arch = fields.string("general.architecture");
  if (arch === undefined)
    throw new FormatError("The file names no architecture", { file, key: "general.architecture" });
  const architecture = architectures.get(arch);
  if (!architecture) {
    throw new UnsupportedError(
      `Models of the architecture ${show(arch)} are not run`,
      { file, key: "general.architecture" },
      `These are: ${[...architectures.keys()].join(", ")}`,
    );
  }
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
  refuseUnknownFeatures(fields, arch);
  return checkConfig(
    {
      architecture,
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
      activation: readActivation(fields, arch, layers, hidden),
    },
    file,
  );
}

function readHeadDim(fields: Fields, arch: string, hidden: number, heads: number): number {
  const { file } = fields;
  const headDim = fields.number(`${arch}.attention.key_length`) ?? hidden / heads;
  for (const name of ["attention.value_length", "rope.dimension_count"]) {
    const key = `${arch}.${name}`;
    const other = fields.number(key);
    if (other !== undefined && other !== headDim) {
      throw new UnsupportedError(`Heads have ${headDim} elements; a different ${name} of ${other} is not run`, {
        file,
        key,
      });
    }
  }
  return headDim;
}

/**
 * No GGUF key tells the gate of BitNet for certain. BitNet-2B-4T (`bitnet-25`, `bitnet-b1.58`) has relu²; the older
 * models under the plain name have SiLU, but upstream files of 2B-4T use that name too and are known by their shape.
 */
function readActivation(fields: Fields, arch: string, layers: number, hidden: number): ModelConfig["activation"] {
  if (arch === "llama") return "silu";
  const key = `${arch}.hidden_activation`;
  const named = fields.string(key);
  if (named !== undefined) {
    if (/^(relu2|relu_?sqr|relu_squared)$/i.test(named)) return "relu2";
    if (/^silu$/i.test(named)) return "silu";
    throw new UnsupportedError(`The activation ${show(named)} is not run`, { file: fields.file, key });
  }
  return arch !== "bitnet" || (layers === 30 && hidden === 2560) ? "relu2" : "silu";
}

function refuseUnknownFeatures(fields: Fields, arch: string): void {
  const refuse = (key: string, what: string) => {
    throw new UnsupportedError(what, { file: fields.file, key });
  };
  const experts = `${arch}.expert_count`;
  if ((fields.number(experts) ?? 0) > 0) refuse(experts, "Mixtures of experts are not run");
  const scaling = `${arch}.rope.scaling.type`;
  const factor = fields.number(`${arch}.rope.scaling.factor`) ?? fields.number(`${arch}.rope.scale_linear`) ?? 1;
  const type = fields.string(scaling) ?? "linear";
  // Factor 0 means none in llama.cpp.
  if (type !== "none" && factor !== 1 && factor !== 0) refuse(scaling, `RoPE scaling of type ${type} is not run`);
}

/** The f32 nearest to a short decimal, back as that decimal: 1e-5 and not 0.00000999999974737875. */
function decimal(value: number): number {
  const short = Number(value.toPrecision(7));
  return Math.fround(short) === value ? short : value;
}
