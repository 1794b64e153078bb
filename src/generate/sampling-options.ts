import { OptionError } from "../errors.js";
import { show } from "../formats/show.js";
import type { SuggestedSampling } from "../formats/suggested-sampling.js";
import type { SamplingOptions } from "../types/sampling-options.js";

/** What a sampling option is when it is not given. (`seed` has no fixed default.) */
export const samplingDefaults = {
  temperature: 0.8,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  typicalP: 1,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionWindow: 64,
  dryMultiplier: 0,
  dryBase: 1.75,
  dryAllowedLength: 2,
  dryWindow: 0,
} as const;

const defaultBreakers: readonly string[] = ["\n", ":", '"', "*"];

type NumberOption = keyof typeof samplingDefaults | "seed";

/** Sampling options with nothing left open. */
export type ResolvedSampling = Record<NumberOption, number> & {
  drySequenceBreakers: readonly string[];
  /** By token id. */
  logitBias: ReadonlyMap<number, number>;
};

const isInteger = (low: number, high: number) => (value: number) =>
  Number.isInteger(value) && value >= low && value <= high;
const between = (low: number, high: number) => (value: number) => value >= low && value <= high;
const rules: Record<NumberOption, [allowed: (value: number) => boolean, range: string]> = {
  temperature: [(value) => value >= 0 && Number.isFinite(value), "a number ≥ 0"],
  topK: [isInteger(0, 2 ** 31 - 1), "an integer ≥ 0 (0: no limit)"],
  topP: [(value) => value > 0 && value <= 1, "a number above 0 and at most 1"],
  minP: [between(0, 1), "a number from 0 to 1"],
  typicalP: [(value) => value > 0 && value <= 1, "a number above 0 and at most 1"],
  repetitionPenalty: [(value) => value > 0 && Number.isFinite(value), "a number above 0 (1: no penalty)"],
  presencePenalty: [between(-100, 100), "a number from −100 to 100"],
  frequencyPenalty: [between(-100, 100), "a number from −100 to 100"],
  repetitionWindow: [isInteger(0, 2 ** 20), "an integer from 0 to 1048576"],
  dryMultiplier: [between(0, 1e6), "a number from 0 to 1000000 (0: off)"],
  dryBase: [between(1, 1e6), "a number from 1 to 1000000"],
  dryAllowedLength: [isInteger(1, 2 ** 20), "an integer from 1 to 1048576"],
  dryWindow: [isInteger(0, 2 ** 20), "an integer from 0 to 1048576 (0: everything)"],
  seed: [isInteger(0, Number.MAX_SAFE_INTEGER), "an integer from 0 to 2^53 − 1"],
};

/**
 * Fills in the defaults and checks every value.
 * @param suggested what the model's file suggests, in place of `samplingDefaults`; not asked when the temperature is given
 * as 0, which means the likeliest token and nothing else
 * @throws OptionError naming the first option that cannot be used
 */
export function resolveSampling(options: SamplingOptions = {}, suggested: SuggestedSampling = {}): ResolvedSampling {
  const defaults: Record<keyof typeof samplingDefaults, number> = {
    ...samplingDefaults,
    ...(options.temperature === 0 ? {} : suggested),
  };
  const resolved: Partial<Record<NumberOption, number>> = {};
  for (const [name, [allowed, range]] of Object.entries(rules) as [NumberOption, (typeof rules)[NumberOption]][]) {
    const value = options[name] ?? (name === "seed" ? randomSeed() : defaults[name]);
    if (typeof value !== "number" || !allowed(value))
      throw new OptionError(`${show(value)} cannot be used, it must be ${range}`, { key: name });
    resolved[name] = value;
  }
  return {
    ...(resolved as Record<NumberOption, number>),
    drySequenceBreakers: resolveBreakers(options.drySequenceBreakers ?? defaultBreakers),
    logitBias: resolveBias(options.logitBias ?? {}),
  };
}

function resolveBreakers(breakers: readonly string[]): readonly string[] {
  if (!Array.isArray(breakers) || breakers.some((text) => typeof text !== "string" || text === ""))
    throw new OptionError("It must be a list of texts, none of them empty", { key: "drySequenceBreakers" });
  return breakers;
}

function resolveBias(biases: Readonly<Record<number, number>>): ReadonlyMap<number, number> {
  if (typeof biases !== "object" || Array.isArray(biases))
    throw new OptionError("It must be an object of numbers by token id", { key: "logitBias" });
  const resolved = new Map<number, number>();
  for (const [token, bias] of Object.entries(biases)) {
    const id = Number(token);
    if (!Number.isInteger(id) || id < 0 || id >= 2 ** 31)
      throw new OptionError(`${JSON.stringify(token)} is not a token id`, { key: "logitBias" });
    if (typeof bias !== "number" || !(bias < Number.POSITIVE_INFINITY))
      throw new OptionError(`${String(bias)} cannot be used, it must be a number or −Infinity`, {
        key: `logitBias.${token}`,
      });
    resolved.set(id, bias);
  }
  return resolved;
}

function randomSeed(): number {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2)) as unknown as [number, number];
  return (high & 0x1fffff) * 2 ** 32 + low;
}
