import { OptionError } from "../errors.js";
import type { Progress } from "../types.js";

/** How the next token is chosen from the logits. Every field may be left out; the defaults are `samplingDefaults`. */
export interface SamplingOptions {
  /** Divisor of the logits, ≥ 0. 0 always takes the likeliest token (ties: the lowest id). Default 0.8. */
  temperature?: number | undefined;
  /** Only the `topK` likeliest tokens may be chosen; 0 means all. Default 40. */
  topK?: number | undefined;
  /** Only the likeliest tokens that together reach this probability, in (0, 1]; 1 means all. Default 0.95. */
  topP?: number | undefined;
  /** Only tokens at least this fraction as likely as the likeliest one, in [0, 1]; 0 means all. Default 0.05. */
  minP?: number | undefined;
  /**
   * Logits of tokens among the last `repetitionWindow` are divided by this (multiplied where negative), > 0; 1 means
   * no penalty. Default 1. (Keskar et al. 2019, "CTRL")
   */
  repetitionPenalty?: number | undefined;
  /** How many of the newest tokens, prompt included, the penalty looks at. Default 64. */
  repetitionWindow?: number | undefined;
  /** Start of the random sequence, an integer in 0 … 2⁵³ − 1. The same seed gives the same tokens everywhere. Default: a random one. */
  seed?: number | undefined;
}

/** Options of one generation. */
export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to produce. Default: until the model ends its text, a stop string appears or the context is full. */
  maxTokens?: number | undefined;
  /** Generation ends before the first of these texts; they are not part of the output. */
  stop?: string | readonly string[] | undefined;
  /** Ends the generation within a token. The session stays usable. */
  signal?: AbortSignal | undefined;
  /** Called while the prompt is computed. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** What a sampling option is when it is not given. (`seed` has no fixed default.) */
export const samplingDefaults = {
  temperature: 0.8,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  repetitionPenalty: 1,
  repetitionWindow: 64,
} as const;

/** Sampling options with nothing left open. */
export type ResolvedSampling = { [Name in keyof SamplingOptions]-?: number };

const isInteger = (low: number, high: number) => (value: number) =>
  Number.isInteger(value) && value >= low && value <= high;
const rules: Record<keyof SamplingOptions, [allowed: (value: number) => boolean, range: string]> = {
  temperature: [(value) => value >= 0 && Number.isFinite(value), "a number ≥ 0"],
  topK: [isInteger(0, 2 ** 31 - 1), "an integer ≥ 0 (0: no limit)"],
  topP: [(value) => value > 0 && value <= 1, "a number above 0 and at most 1"],
  minP: [(value) => value >= 0 && value <= 1, "a number from 0 to 1"],
  repetitionPenalty: [(value) => value > 0 && Number.isFinite(value), "a number above 0 (1: no penalty)"],
  repetitionWindow: [isInteger(0, 2 ** 20), "an integer from 0 to 1048576"],
  seed: [isInteger(0, Number.MAX_SAFE_INTEGER), "an integer from 0 to 2^53 − 1"],
};

/**
 * Fills in the defaults and checks every value.
 * @throws OptionError naming the first option that cannot be used
 */
export function resolveSampling(options: SamplingOptions = {}): ResolvedSampling {
  const resolved: Partial<ResolvedSampling> = {};
  for (const [name, [allowed, range]] of Object.entries(rules) as [
    keyof SamplingOptions,
    (typeof rules)[keyof SamplingOptions],
  ][]) {
    const value = options[name] ?? (name === "seed" ? randomSeed() : samplingDefaults[name]);
    if (typeof value !== "number" || !allowed(value))
      throw new OptionError(`${String(value)} cannot be used, it must be ${range}`, { key: name });
    resolved[name] = value;
  }
  return resolved as ResolvedSampling;
}

/**
 * Checks everything of a generation that is not sampling.
 * @throws OptionError naming the option that cannot be used
 */
export function resolveLimits(options: GenerateOptions = {}): { maxTokens: number; stop: string[] } {
  const maxTokens = options.maxTokens ?? Number.POSITIVE_INFINITY;
  if (
    typeof maxTokens !== "number" ||
    !(maxTokens >= 0) ||
    (Number.isFinite(maxTokens) && !Number.isInteger(maxTokens))
  )
    throw new OptionError(`${String(maxTokens)} cannot be used, it must be an integer ≥ 0`, { key: "maxTokens" });
  const stop = typeof options.stop === "string" ? [options.stop] : [...(options.stop ?? [])];
  if (stop.some((text) => typeof text !== "string" || text === ""))
    throw new OptionError("A stop text is empty or not a string", { key: "stop" });
  return { maxTokens, stop };
}

function randomSeed(): number {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2)) as unknown as [number, number];
  return (high & 0x1fffff) * 2 ** 32 + low;
}
