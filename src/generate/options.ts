import { OptionError } from "../errors.js";
import type { SuggestedSampling } from "../formats/suggested-sampling.js";
import type { Progress } from "../types.js";
import type { JsonSchema, ToolDefinition } from "./messages.js";

/**
 * How the next token is chosen from the logits. Every field may be left out; the defaults are those the model's file
 * suggests (`model.file.sampling`), else the ones named here.
 */
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
  /** Breaks the generation off within a token; it throws the signal's reason. The session stays usable. */
  signal?: AbortSignal | undefined;
  /** Called while the prompt is computed. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /**
   * What to do when the context is full. `error`: a prompt that does not fit is a SessionError before anything is
   * computed; an answer that reaches the end of the context ends there with the finish reason `context`. `stop`: both end
   * with the finish reason `context`. `shift`: the oldest part is dropped, the beginning (a chat's system prompt; the
   * model's first token) and the newest part are kept and computed again. Default: `error`, in a chat `shift`.
   */
  contextOverflow?: "error" | "stop" | "shift" | undefined;
  /** Told each time `contextOverflow: "shift"` drops something. */
  onContextShift?: ((shift: ContextShift) => void) | undefined;
  /** The answer is JSON that this JSON Schema describes. At most one of `schema`, `regex` and `grammar`. */
  schema?: JsonSchema | undefined;
  /** The whole answer matches this regular expression. */
  regex?: string | RegExp | undefined;
  /** The whole answer follows this grammar, in GBNF. */
  grammar?: string | undefined;
  /** Functions the model may call. */
  tools?: readonly ToolDefinition[] | undefined;
  /** `auto`: the model decides; `none`: no call; `required`: at least one; a name: that tool. Default `auto`. */
  toolChoice?: "auto" | "none" | "required" | { name: string } | undefined;
  /** The n likeliest tokens with each piece, 0 … 100. Default: none. */
  topLogprobs?: number | undefined;
}

/** What `contextOverflow: "shift"` dropped. */
export interface ContextShift {
  /** Tokens that were dropped. */
  droppedTokens: number;
  /** Of a chat: messages that the model does not see any more. */
  droppedMessages: number;
  /** The same in words. */
  note: string;
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
 * @param suggested what the model's file suggests, in place of `samplingDefaults`; not asked when the temperature is given
 * as 0, which means the likeliest token and nothing else
 * @throws OptionError naming the first option that cannot be used
 */
export function resolveSampling(options: SamplingOptions = {}, suggested: SuggestedSampling = {}): ResolvedSampling {
  const defaults: Omit<ResolvedSampling, "seed"> = {
    ...samplingDefaults,
    ...(options.temperature === 0 ? {} : suggested),
  };
  const resolved: Partial<ResolvedSampling> = {};
  for (const [name, [allowed, range]] of Object.entries(rules) as [
    keyof SamplingOptions,
    (typeof rules)[keyof SamplingOptions],
  ][]) {
    const value = options[name] ?? (name === "seed" ? randomSeed() : defaults[name]);
    if (typeof value !== "number" || !allowed(value))
      throw new OptionError(`${String(value)} cannot be used, it must be ${range}`, { key: name });
    resolved[name] = value;
  }
  return resolved as ResolvedSampling;
}

/** Everything of a generation that is not sampling. */
export interface Limits {
  maxTokens: number;
  stop: string[];
  topLogprobs: number | undefined;
  contextOverflow: "error" | "stop" | "shift" | undefined;
}

/**
 * Checks everything of a generation that is not sampling.
 * @throws OptionError naming the option that cannot be used
 */
export function resolveLimits(options: GenerateOptions = {}): Limits {
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
  const { topLogprobs, contextOverflow } = options;
  if (topLogprobs !== undefined && !isInteger(0, 100)(topLogprobs))
    throw new OptionError(`${String(topLogprobs)} cannot be used, it must be an integer from 0 to 100`, {
      key: "topLogprobs",
    });
  if (contextOverflow !== undefined && !["error", "stop", "shift"].includes(contextOverflow))
    throw new OptionError(
      `${JSON.stringify(contextOverflow)} is unknown`,
      { key: "contextOverflow" },
      "Use error, stop or shift",
    );
  return { maxTokens, stop, topLogprobs, contextOverflow };
}

function randomSeed(): number {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2)) as unknown as [number, number];
  return (high & 0x1fffff) * 2 ** 32 + low;
}
