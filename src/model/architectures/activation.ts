import type { ModelConfig } from "../../config.js";
import { type ErrorPlace, UnsupportedError } from "../../errors.js";

const names: readonly [RegExp, ModelConfig["activation"]][] = [
  [/^(relu2|relu_?sqr|relu_squared)$/i, "relu2"],
  [/^(silu|swish)$/i, "silu"],
  [/^(gelu_pytorch_tanh|gelu_tanh|gelu_new|gelu_fast)$/i, "gelu-tanh"],
];

/** The gate of that name. @throws UnsupportedError for another */
export function activationNamed(name: string, place: ErrorPlace): ModelConfig["activation"] {
  const found = names.find(([pattern]) => pattern.test(name));
  if (found) return found[1];
  throw new UnsupportedError(
    `The activation ${JSON.stringify(name.slice(0, 60))} is not supported`,
    place,
    "Supported are silu, relu2 and gelu_pytorch_tanh",
  );
}
