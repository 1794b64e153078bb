import { type ErrorPlace, UnsupportedError } from "../../errors.js";
import type { Architecture } from "./architecture.js";
import { bitnet } from "./bitnet.js";
import { gemma3 } from "./gemma3.js";
import { granite } from "./granite.js";
import { llama } from "./llama.js";
import { phi3 } from "./phi3.js";
import { qwen2 } from "./qwen2.js";
import { qwen3 } from "./qwen3.js";
import { smollm3 } from "./smollm3.js";

export type { Architecture, TensorSpec } from "./architecture.js";

/** Every architecture that runs here. */
export const architectures: readonly Architecture[] = [llama, bitnet, qwen2, qwen3, smollm3, granite, gemma3, phi3];

const byName = new Map(architectures.map((architecture) => [architecture.name, architecture]));

/** The architecture of that name. */
export function architectureOf({ architecture }: { architecture: string }): Architecture {
  const found = byName.get(architecture);
  if (!found) throw new UnsupportedError(`There is no architecture ${JSON.stringify(architecture)}`);
  return found;
}

/** @throws UnsupportedError naming it, what is supported, and what to do */
export function ggufArchitecture(name: string, place: ErrorPlace): Architecture {
  return architectures.find(({ gguf }) => gguf.includes(name)) ?? refuse("architecture", name, place);
}

/**
 * By the class or the model type config.json names; the class counts first.
 * @throws UnsupportedError naming it, what is supported, and what to do
 */
export function huggingFaceArchitecture(
  className: string | undefined,
  modelType: string | undefined,
  place: ErrorPlace,
): Architecture {
  const found =
    className === undefined
      ? architectures.find(({ huggingFace }) => huggingFace.modelTypes.includes(modelType ?? ""))
      : architectures.find(({ huggingFace }) => huggingFace.classes.includes(className));
  return found ?? refuse("class", className ?? modelType ?? "(none named)", place);
}

/** What to run instead, by the beginning of a name that is not supported. */
const nearest: readonly [beginning: RegExp, instead: string][] = [
  [/^(qwen3(moe|next|vl)|qwen35|qwen3_5)/i, "Of this family, the dense Qwen 3 models run here"],
  [/^qwen/i, "Of this family, Qwen 2, Qwen 2.5 and the dense Qwen 3 models run here"],
  [/^gemma/i, "Of this family, Gemma 3 (text) and EmbeddingGemma run here"],
  [/^granite/i, "Of this family, the dense models (architecture granite) run here"],
  [/^phi/i, "Of this family, Phi-3 and Phi-4-mini run here"],
  [
    /^(llama4|mllama|mistral|mixtral|deci|arcee)/i,
    "Of this family, models converted to the architecture llama run here",
  ],
  [/^smollm/i, "Of this family, SmolLM2 (llama) and SmolLM3 run here"],
  [/^(falcon)/i, "Of this family, Falcon-E and Falcon3 (architecture llama) run here"],
];

function refuse(what: string, name: string, place: ErrorPlace): never {
  const supported = architectures.flatMap(({ gguf, huggingFace }) =>
    what === "class" ? huggingFace.classes.slice(0, 1) : gguf,
  );
  const instead = nearest.find(([beginning]) => beginning.test(name))?.[1];
  throw new UnsupportedError(
    `Models of the ${what} ${JSON.stringify(name.slice(0, 80))} are not supported`,
    place,
    `${instead ? `${instead}. ` : ""}Supported are: ${supported.join(", ")}`,
  );
}
