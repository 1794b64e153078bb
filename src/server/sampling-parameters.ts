import type { GenerateOptions } from "../types.js";
import { badParameter } from "./errors.js";
import { finite, flag, logitBias, object, type Parameters, text, texts, whole } from "./parameters.js";

/** Parameters of every endpoint that writes text: OpenAI's names, and llama-server's for what OpenAI does not have. */
export interface SamplingParameters {
  model: string;
  stream: boolean;
  stream_options: { include_usage: boolean };
  n: number;
  stop: string[];
  seed: number;
  temperature: number;
  top_p: number;
  presence_penalty: number;
  frequency_penalty: number;
  logit_bias: Record<number, number>;
  top_k: number;
  min_p: number;
  typical_p: number;
  repeat_penalty: number;
  repeat_last_n: number;
  cache_prompt: boolean;
  grammar: string;
  resume_from: number;
}

const include: Parameters<SamplingParameters>["stream_options"] = (value, param) => {
  const known = readStreamOptions(value, param);
  return { include_usage: known.include_usage ?? false };
};

function readStreamOptions(value: unknown, param: string): { include_usage?: boolean } {
  const options = object(value, param);
  const result: { include_usage?: boolean } = {};
  for (const [name, each] of Object.entries(options)) {
    if (name === "include_usage" && each !== null) result.include_usage = flag(each, `${param}.${name}`);
    else if (name !== "include_usage" && name !== "include_obfuscation")
      throw badParameter(`${param}.${name}`, `${param}.${name} is not supported`, "unknown_parameter");
  }
  return result;
}

export const samplingParameters: Parameters<SamplingParameters> = {
  model: text,
  stream: flag,
  stream_options: include,
  n: whole(1, 128),
  stop: texts,
  seed: whole(0),
  temperature: finite(0, 1000),
  top_p: finite(0, 1),
  presence_penalty: finite(-2, 2),
  frequency_penalty: finite(-2, 2),
  logit_bias: logitBias,
  top_k: whole(0, 2 ** 31 - 1),
  min_p: finite(0, 1),
  typical_p: finite(0, 1),
  repeat_penalty: finite(1e-3, 1000),
  repeat_last_n: whole(0, 2 ** 20),
  // Results never depend on the cache, so both values give the same answer.
  cache_prompt: flag,
  grammar: text,
  resume_from: whole(0),
};

/** Parameters of OpenAI's API that cannot change the answer: who asks, what it is stored with, how it is billed. */
export const ignoredParameters = [
  "user",
  "metadata",
  "safety_identifier",
  "prompt_cache_key",
  "prompt_cache_retention",
  "service_tier",
  "store",
  "id_slot",
  "timings_per_token",
  "return_progress",
] as const;

/** The library's options for what was asked. */
export function samplingOptions(values: Partial<SamplingParameters>): GenerateOptions {
  return {
    stop: values.stop,
    seed: values.seed,
    temperature: values.temperature,
    // OpenAI allows 0, which leaves the likeliest token alone.
    topP: values.top_p === 0 ? Number.MIN_VALUE : values.top_p,
    topK: values.top_k,
    minP: values.min_p,
    typicalP: values.typical_p,
    presencePenalty: values.presence_penalty,
    frequencyPenalty: values.frequency_penalty,
    logitBias: values.logit_bias,
    repetitionPenalty: values.repeat_penalty,
    repetitionWindow: values.repeat_last_n,
    grammar: values.grammar,
  };
}
