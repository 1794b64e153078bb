import type { ModelConfig } from "../../config.js";
import { FormatError, UnsupportedError } from "../../errors.js";
import { activationNamed } from "../../model/architectures/activation.js";
import { type Architecture, huggingFaceArchitecture } from "../../model/architectures/index.js";
import { checkConfig } from "../check-config.js";
import type { JsonFields } from "../json.js";
import { show } from "../show.js";

/**
 * Reads the shape of the model from config.json.
 * @throws UnsupportedError for other classes, activations and RoPE variants; FormatError for bad values.
 */
export function readHuggingFaceConfig(
  outer: JsonFields,
  name: string,
): { config: ModelConfig; architecture: Architecture } {
  const { file } = outer;
  const architecture = architectureIn(outer);
  const defaults = architecture.huggingFace;
  // Models that also take images have that of the text inside.
  const json = outer.object("text_config") ?? outer;
  const value = (key: string) => json.number(key) ?? defaults.values[key] ?? json.requiredNumber(key);
  const heads = value("num_attention_heads");
  const hidden = value("hidden_size");
  const headDim = json.number("head_dim") ?? hidden / heads;
  const rope = readRope(json);
  const partial = rope?.number("partial_rotary_factor") ?? json.number("partial_rotary_factor") ?? 1;
  if (partial !== 1 && !architecture.partialRope) {
    throw new UnsupportedError("Partial RoPE is not supported in this architecture", {
      file,
      key: "partial_rotary_factor",
    });
  }
  const activation = json.string("hidden_act");
  const config = checkConfig(
    {
      architecture: architecture.name,
      name: outer.string("_name_or_path") || name,
      layers: value("num_hidden_layers"),
      hidden,
      ffn: value("intermediate_size"),
      heads,
      kvHeads: json.number("num_key_value_heads") ?? defaults.values.num_key_value_heads ?? heads,
      headDim,
      vocab: value("vocab_size"),
      contextLength: value("max_position_embeddings"),
      rmsNormEps: value("rms_norm_eps"),
      ropeTheta: rope?.number("rope_theta") ?? value("rope_theta"),
      activation:
        activation === undefined ? defaults.activation : activationNamed(activation, { file, key: "hidden_act" }),
      ...(partial !== 1 && { ropeDim: Math.floor(headDim * partial) }),
      ...(rope && readRopeScaling(rope, json)),
    },
    file,
  );
  const switches = architecture.readHuggingFace?.(json, config);
  return { config: switches ? checkConfig({ ...config, ...switches }, file) : config, architecture };
}

/** Base and scaling of RoPE: together in newer files, and there by kind of layer where kinds differ. */
function readRope(json: JsonFields): JsonFields | undefined {
  const parameters = json.object("rope_parameters");
  return parameters?.object("full_attention") ?? parameters ?? json.object("rope_scaling");
}

function architectureIn(json: JsonFields): Architecture {
  const named = json.array("architectures")?.[0];
  const place = { file: json.file, key: "architectures" };
  return huggingFaceArchitecture(typeof named === "string" ? named : undefined, json.string("model_type"), place);
}

function readRopeScaling(rope: JsonFields, json: JsonFields): Pick<ModelConfig, "ropeScaling" | "ropeDivisor"> {
  const { file } = rope;
  const type = rope.string("rope_type") ?? rope.string("type") ?? "default";
  // The factors of LongRoPE are read by the architecture that has it.
  if (type === "default" || type === "longrope" || type === "su") return {};
  if (type === "linear") return { ropeDivisor: rope.requiredNumber("factor") };
  if (type !== "llama3")
    throw new UnsupportedError(`RoPE scaling of type ${show(type)} is not supported`, { file, key: "rope_scaling" });
  const originalContextLength =
    rope.number("original_max_position_embeddings") ?? json.number("original_max_position_embeddings");
  if (originalContextLength === undefined) {
    throw new FormatError("The RoPE scaling lacks original_max_position_embeddings", { file, key: "rope_scaling" });
  }
  return {
    ropeScaling: {
      factor: rope.requiredNumber("factor"),
      lowFreqFactor: rope.requiredNumber("low_freq_factor"),
      highFreqFactor: rope.requiredNumber("high_freq_factor"),
      originalContextLength,
    },
  };
}
