import { FormatError, UnsupportedError } from "../../errors.js";
import type { Llama3RopeScaling, ModelConfig } from "../../model/config.js";
import { checkConfig } from "../check-config.js";
import type { JsonFields } from "../json.js";
import { show } from "../show.js";

/** Values a class of transformers uses when config.json is silent. */
interface ClassDefaults {
  architecture: ModelConfig["architecture"];
  values: Record<string, number>;
  activation: string;
}

/** transformers `LlamaConfig` and `BitNetConfig`; what a Llama config must state itself has no default here. */
const classes: ReadonlyMap<string, ClassDefaults> = new Map<string, ClassDefaults>([
  [
    "LlamaForCausalLM",
    {
      architecture: "llama",
      values: { max_position_embeddings: 2048, rms_norm_eps: 1e-6, rope_theta: 10_000 },
      activation: "silu",
    },
  ],
  [
    "BitNetForCausalLM",
    {
      architecture: "bitnet",
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
  ],
]);

const classOfModelType: ReadonlyMap<string, string> = new Map([
  ["llama", "LlamaForCausalLM"],
  ["bitnet", "BitNetForCausalLM"],
]);

/**
 * Reads the shape of the model from config.json.
 * @throws UnsupportedError for other classes, activations, biases and RoPE variants; FormatError for bad values.
 */
export function readHuggingFaceConfig(json: JsonFields, name: string): ModelConfig {
  const { file } = json;
  const className = modelClass(json);
  const defaults = classes.get(className ?? "");
  if (!defaults) {
    throw new UnsupportedError(
      `Models of the class ${className ?? "(none named)"} are not run`,
      { file, key: "architectures" },
      `These are: ${[...classes.keys()].join(", ")}`,
    );
  }
  const value = (key: string) => json.number(key) ?? defaults.values[key] ?? json.requiredNumber(key);
  for (const key of ["attention_bias", "mlp_bias"]) {
    if (json.boolean(key)) throw new UnsupportedError("Models with biases are not run", { file, key });
  }
  const heads = value("num_attention_heads");
  const hidden = value("hidden_size");
  // Newer configurations hold base and scaling together under `rope_parameters`.
  const rope = json.object("rope_parameters") ?? json.object("rope_scaling");
  const partial = rope?.number("partial_rotary_factor") ?? json.number("partial_rotary_factor") ?? 1;
  if (partial !== 1) {
    throw new UnsupportedError("Heads rotated only in part are not run", { file, key: "partial_rotary_factor" });
  }
  const scaling = rope && readRopeScaling(rope, json);
  return checkConfig(
    {
      architecture: defaults.architecture,
      name: json.string("_name_or_path") || name,
      layers: value("num_hidden_layers"),
      hidden,
      ffn: value("intermediate_size"),
      heads,
      kvHeads: json.number("num_key_value_heads") ?? defaults.values.num_key_value_heads ?? heads,
      headDim: json.number("head_dim") ?? hidden / heads,
      vocab: value("vocab_size"),
      contextLength: value("max_position_embeddings"),
      rmsNormEps: value("rms_norm_eps"),
      ropeTheta: rope?.number("rope_theta") ?? value("rope_theta"),
      ...(scaling && { ropeScaling: scaling }),
      activation: readActivation(json, defaults.activation),
    },
    file,
  );
}

function modelClass(json: JsonFields): string | undefined {
  const named = json.array("architectures")?.[0];
  if (typeof named === "string") return named;
  return classOfModelType.get(json.string("model_type") ?? "");
}

function readActivation(json: JsonFields, fallback: string): ModelConfig["activation"] {
  const named = json.string("hidden_act") ?? fallback;
  if (named === "relu2" || named === "silu") return named;
  throw new UnsupportedError(`The activation ${show(named)} is not run`, {
    file: json.file,
    key: "hidden_act",
  });
}

function readRopeScaling(rope: JsonFields, json: JsonFields): Llama3RopeScaling | undefined {
  const { file } = rope;
  const type = rope.string("rope_type") ?? rope.string("type") ?? "default";
  if (type === "default") return undefined;
  if (type !== "llama3") {
    throw new UnsupportedError(`RoPE scaling of type ${show(type)} is not run`, {
      file,
      key: "rope_scaling",
    });
  }
  const originalContextLength =
    rope.number("original_max_position_embeddings") ?? json.number("original_max_position_embeddings");
  if (originalContextLength === undefined) {
    throw new FormatError("The RoPE scaling lacks original_max_position_embeddings", { file, key: "rope_scaling" });
  }
  return {
    factor: rope.requiredNumber("factor"),
    lowFreqFactor: rope.requiredNumber("low_freq_factor"),
    highFreqFactor: rope.requiredNumber("high_freq_factor"),
    originalContextLength,
  };
}
