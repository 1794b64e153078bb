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
  dry_multiplier: number;
  dry_base: number;
  dry_allowed_length: number;
  dry_penalty_last_n: number;
  dry_sequence_breakers: string[];
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
  repeat_last_n: whole(-1, 2 ** 20),
  dry_multiplier: finite(0, 1e6),
  dry_base: finite(1, 1e6),
  dry_allowed_length: whole(1, 2 ** 20),
  dry_penalty_last_n: whole(-1, 2 ** 20),
  dry_sequence_breakers: texts,
  // Results never depend on the cache, so both values give the same answer.
  cache_prompt: flag,
  grammar: text,
  resume_from: whole(0),
};

/** Names of the most tokens to write; −1: until the model ends. */
export interface LimitParameters {
  max_tokens: number;
  max_completion_tokens: number;
  n_predict: number;
}

export const limitParameters: Parameters<LimitParameters> = {
  max_tokens: whole(-1),
  max_completion_tokens: whole(-1),
  n_predict: whole(-1),
};

/** The limit that was asked for. @throws ApiError when two of its names say different things */
export function maxTokens(values: Partial<LimitParameters>, otherwise?: number): number | undefined {
  const names = Object.keys(limitParameters) as (keyof LimitParameters)[];
  const given = names.flatMap((name) => values[name] ?? []);
  const [limit = otherwise] = given;
  if (given.some((each) => each !== limit))
    throw badParameter("max_tokens", "max_tokens, max_completion_tokens and n_predict say different things");
  return limit === -1 ? undefined : limit;
}

/** Parameters of OpenAI's API that cannot change the answer: who asks, what it is stored with, how it is billed or hastened. */
export const ignoredParameters = [
  "user",
  "prediction",
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
    // llama-server's −1 is the whole context, and so is our 0 for DRY; its 0 switches DRY off.
    repetitionWindow: values.repeat_last_n === -1 ? 2 ** 20 : values.repeat_last_n,
    dryMultiplier: values.dry_penalty_last_n === 0 ? 0 : values.dry_multiplier,
    dryBase: values.dry_base,
    dryAllowedLength: values.dry_allowed_length,
    dryWindow: values.dry_penalty_last_n === -1 ? 0 : values.dry_penalty_last_n,
    drySequenceBreakers: values.dry_sequence_breakers,
    grammar: values.grammar,
  };
}
