import { FormatError, UnsupportedError } from "../../errors.js";
import type { JsonFields } from "../json.js";
import { show } from "../show.js";

/** What `quantization_config` of a BitNet checkpoint says (transformers `BitNetQuantConfig`). */
export interface BitNetQuantisation {
  /** `AutoBitLinear` multiplies its output by `weight_scale`, `BitLinear` divides by it. Same tensor, inverse numbers. */
  scaleIs: "factor" | "divisor";
  /** `online`: the file holds full-precision master weights, made ternary at load. */
  mode: "online" | "offline";
  /** Modules that stay as they are, by name or part of a path. */
  excluded: string[];
}

/**
 * Reads `quantization_config`; undefined when config.json has none.
 * @throws UnsupportedError for other methods than `bitnet` and for norms inside the linear layers.
 */
export function readQuantisation(config: JsonFields): BitNetQuantisation | undefined {
  const json = config.object("quantization_config");
  if (!json) return undefined;
  const { file } = json;
  const key = "quantization_config";
  const method = json.string("quant_method");
  if (method !== "bitnet") {
    throw new UnsupportedError(`The quantisation method ${show(method)} is not supported`, { file, key });
  }
  if (json.boolean("use_rms_norm")) {
    throw new UnsupportedError("Linear layers with a norm of their own (use_rms_norm) are not supported", {
      file,
      key,
    });
  }
  const linear = json.string("linear_class") ?? "bitlinear";
  const mode = json.string("quantization_mode") ?? "offline";
  if (linear !== "bitlinear" && linear !== "autobitlinear") {
    throw new UnsupportedError(`The linear class ${show(linear)} is not supported`, { file, key });
  }
  if (mode !== "online" && mode !== "offline") {
    throw new FormatError(`The quantisation mode is ${show(mode)}`, { file, key });
  }
  const excluded = json.array("modules_to_not_convert") ?? [];
  if (!excluded.every((each) => typeof each === "string"))
    throw json.wrong("modules_to_not_convert", "a list of names");
  return { scaleIs: linear === "autobitlinear" ? "factor" : "divisor", mode, excluded };
}
