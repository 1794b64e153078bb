import { MemoryError } from "../errors.js";
import type { ModelFile } from "../formats/model-file.js";
import { PAGE, pageBytes } from "../kv/layout.js";
import { type HeadPrecision, headTargetOf, plannedBytes } from "./load-weights.js";

/** What a WebAssembly memory can address. */
export const MEMORY_BYTES = 2 ** 32;
/** Code of the kernels, scratch and activations, roughly. */
const OTHER_BYTES = 64 << 20;
/** Tokens that must fit when nobody has said how many. */
const LEAST_CONTEXT = 256;

export interface FitOptions {
  head?: HeadPrecision | undefined;
  kvCache?: "int8" | "f32" | undefined;
  /** As asked for; undefined when nobody did. */
  contextLength?: number | undefined;
}

/**
 * Looks, before the first weight is read, whether a model and its context fit the memory of WebAssembly.
 * @throws MemoryError with the figures and what to choose
 */
export function checkFits(file: ModelFile, options: FitOptions): void {
  const weights = plannedBytes(file, headTargetOf(file, options.head));
  const context = options.contextLength ?? LEAST_CONTEXT;
  const cache = 2 * pageBytes(options.kvCache ?? "int8", file.config) * Math.ceil(context / PAGE);
  if (weights + cache + OTHER_BYTES <= MEMORY_BYTES) return;
  const contextPart =
    options.contextLength === undefined ? "" : `, keys and values of ${context} tokens ${gigabytes(cache)}`;
  const choices = [
    "a smaller quantisation",
    ...(options.contextLength === undefined ? [] : ["a shorter context (contextLength, --ctx)"]),
    ...(options.kvCache === "f32" ? ["keys and values in 8 bits (kvCache, --kv-cache int8)"] : []),
    ...(options.head === "q4" ? [] : ["a smaller output head (head, --head q4)"]),
  ];
  throw new MemoryError(
    `This model does not fit: its weights take ${gigabytes(weights)}${contextPart}, and there are ${gigabytes(MEMORY_BYTES)} in all`,
    { file: file.name },
    `Choose ${choices.join(", or ")}`,
  );
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
