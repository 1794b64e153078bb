import type { ModelConfig } from "../config.js";
import { PAGE, RANGE, SPAN } from "../kernels/generated.js";
import { SAMPLE } from "./calibration.js";

export { PAGE, RANGE, SPAN };
/** Most query rows (token × head of a group) one unit of work takes together. */
export const ROWS = 32;

export type CacheKind = "int8" | "f32";

/** Bytes of the keys, or of the values, of one layer and KV head in one page. */
export function partBytes(kind: CacheKind, headDim: number): number {
  return kind === "f32" ? PAGE * headDim * 4 : PAGE * (headDim + 4);
}

/** Bytes of the keys, or of the values, of all layers in one page: [layers][kvHeads][part]. */
export function pageBytes(kind: CacheKind, config: Pick<ModelConfig, "layers" | "kvHeads" | "headDim">): number {
  return config.layers * config.kvHeads * partBytes(kind, config.headDim);
}

/** f32 numbers and a pair (m, l): what the softmax of one query row is accumulated in. */
export function stateBytes(headDim: number): number {
  return headDim * 4 + 16;
}

/** Query tokens of one unit: what fits `ROWS` rows, where possible a number of rows that is a multiple of 4, the kernels' tile. */
export function unitTokens(group: number): number {
  const most = Math.max(1, Math.floor(ROWS / group));
  for (let tokens = most; tokens > most / 2; tokens--) if ((tokens * group) % 4 === 0) return tokens;
  return most;
}

/** The next multiple of 16 bytes: parts of a page begin there. */
export const round16 = (bytes: number) => Math.ceil(bytes / 16) * 16;

/** Bytes of what a recording cache keeps of queries, see `RecordingDescriptor`. */
export function recordingBytes(config: ModelConfig, contextLength: number): { moments: number; samples: number } {
  const { layers, heads, kvHeads, headDim } = config;
  const group = heads / kvHeads;
  return {
    moments: layers * kvHeads * headDim ** 2 * 4,
    samples: layers * kvHeads * Math.floor(contextLength / SAMPLE) * group * headDim * 4,
  };
}
