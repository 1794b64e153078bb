import { checkSignal } from "./check-signal.js";
import type { ModelConfig } from "./config.js";
import { OptionError } from "./errors.js";
import { show } from "./formats/show.js";
import type { LoadOptions } from "./types.js";

/** More threads than this are refused, whatever the machine: each takes memory, and a thousand take a minute to start. */
const LEAST_BOUND = 64;

/**
 * Looks at the options of `loadModel` before anything is read.
 * @param cores that this machine has
 * @throws OptionError naming the first that cannot be used
 */
export function checkLoadOptions(options: LoadOptions, cores: number): void {
  if (typeof options !== "object" || options === null)
    throw new OptionError(`The options are ${show(options)}`, { key: "options" }, "Give an object, or nothing");
  checkSignal(options.signal);
  const most = Math.max(LEAST_BOUND, cores);
  wholeNumber("threads", options.threads, most);
  wholeNumber("prefillChunk", options.prefillChunk, 65_536);
  wholeNumber("contextLength", options.contextLength, 2 ** 31 - 1);
  if (options.prefixCacheBytes !== 0) wholeNumber("prefixCacheBytes", options.prefixCacheBytes, 2 ** 32);
  oneOf("kernel", options.kernel, ["simd", "relaxed"]);
  oneOf("kvCache", options.kvCache, ["int8", "f32"]);
  oneOf("i2sLayout", options.i2sLayout, ["block128", "block64", "rows4"]);
  oneOf("head", options.head, ["f16", "q8", "q6", "q4"]);
  const { attention } = options;
  if (attention !== undefined && (typeof attention !== "object" || attention === null))
    throw new OptionError(`attention is ${show(attention)}`, { key: "attention" }, 'Give an object: { kind: "full" }');
}

/** @throws OptionError for anything that cannot be a model */
export function checkSource(source: unknown): void {
  if (typeof source === "string" && source !== "") return;
  if (source instanceof URL || source instanceof Uint8Array || source instanceof Blob) return;
  const { read, open } = (typeof source === "object" && source !== null ? source : {}) as Record<string, unknown>;
  if (typeof read === "function" || typeof open === "function") return;
  throw new OptionError(
    `${show(source)} is not a model`,
    { key: "source" },
    'Give a name, "embedded", a path, a URL, a Blob, a Uint8Array, a ByteSource, or filesFolder(…)',
  );
}

/** @throws OptionError for a context longer than the model was made for */
export function checkContext(contextLength: number, { contextLength: longest, name }: ModelConfig): void {
  if (contextLength > longest)
    throw new OptionError(
      `A context of ${contextLength} tokens is more than ${name} was made for`,
      { key: "contextLength" },
      `Give at most ${longest}`,
    );
}

function wholeNumber(key: string, value: number | undefined, most: number): void {
  if (value === undefined) return;
  if (!Number.isInteger(value) || value < 1)
    throw new OptionError(`${key} is ${show(value)}, it must be a whole number above 0`, { key });
  if (value > most) throw new OptionError(`${key} is ${value}`, { key }, `Give at most ${most}`);
}

function oneOf(key: string, value: string | undefined, allowed: readonly string[]): void {
  if (value !== undefined && !allowed.includes(value))
    throw new OptionError(`${key} is ${show(value)}`, { key }, `Use ${allowed.join(", ")}`);
}
