/** How the makers of a model would have its tokens chosen; fields as in `SamplingOptions`. */
export interface SuggestedSampling {
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  repetitionPenalty?: number;
  repetitionWindow?: number;
}

type Field = keyof SuggestedSampling;

/** Names in GGUF metadata (`general.sampling.…`, as llama.cpp has them) and in generation_config.json. */
const names: readonly [field: Field, gguf: string, huggingFace: string | undefined, largest: number][] = [
  ["temperature", "temp", "temperature", 100],
  ["topK", "top_k", "top_k", 2 ** 31 - 1],
  ["topP", "top_p", "top_p", 1],
  ["minP", "min_p", "min_p", 1],
  ["repetitionPenalty", "penalty_repeat", "repetition_penalty", 100],
  ["repetitionWindow", "penalty_last_n", undefined, 2 ** 20],
];

/**
 * Reads what a file suggests; what cannot be used is as if it were not there.
 * @param get the value of a key of GGUF metadata, or of generation_config.json
 */
export function suggestedSampling(
  container: "gguf" | "safetensors",
  get: (key: string) => unknown,
): SuggestedSampling | undefined {
  const found: SuggestedSampling = {};
  for (const [field, gguf, huggingFace, largest] of names) {
    const key = container === "gguf" ? `general.sampling.${gguf}` : huggingFace;
    const value = key === undefined ? undefined : get(key);
    if (typeof value !== "number" || !(value >= 0 && value <= largest)) continue;
    if (value === 0 && (field === "topP" || field === "repetitionPenalty")) continue;
    if ((field === "topK" || field === "repetitionWindow") && !Number.isInteger(value)) continue;
    // Files have 32-bit floats: 0.1 is meant, not 0.10000000149.
    found[field] = Number(value.toPrecision(7));
  }
  return Object.keys(found).length > 0 ? found : undefined;
}
