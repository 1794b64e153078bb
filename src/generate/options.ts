import { checkSignal } from "../check-signal.js";
import { OptionError } from "../errors.js";
import { show } from "../formats/show.js";
import type { GenerateOptions } from "../types/generate-options.js";

/** Most alternatives given with one token. */
const MOST_LOGPROBS = 100;

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
  if (typeof options !== "object" || options === null)
    throw new OptionError(`The options are ${String(options)}`, { key: "options" }, "Give an object, or nothing");
  checkSignal(options.signal);
  const maxTokens = options.maxTokens ?? Number.POSITIVE_INFINITY;
  if (
    typeof maxTokens !== "number" ||
    !(maxTokens >= 0) ||
    (Number.isFinite(maxTokens) && !Number.isInteger(maxTokens))
  )
    throw new OptionError(`${show(maxTokens)} cannot be used, it must be a whole number`, { key: "maxTokens" });
  const stop = typeof options.stop === "string" ? [options.stop] : [...(options.stop ?? [])];
  if (stop.some((text) => typeof text !== "string" || text === ""))
    throw new OptionError("A stop text is empty or not a string", { key: "stop" });
  const { topLogprobs, contextOverflow, speculation } = options;
  if (speculation !== undefined && speculation !== "auto" && typeof speculation !== "boolean")
    throw new OptionError(`${String(speculation)} cannot be used, it must be true, false or auto`, {
      key: "speculation",
    });
  if (topLogprobs !== undefined && !(Number.isInteger(topLogprobs) && topLogprobs >= 0 && topLogprobs <= MOST_LOGPROBS))
    throw new OptionError(`${show(topLogprobs)} cannot be used, it must be an integer from 0 to ${MOST_LOGPROBS}`, {
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
