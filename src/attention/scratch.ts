import type { ModelConfig } from "../config.js";
import { WORK_BYTES, WORK_BYTES_PER_ELEMENT } from "../kernels/generated.js";
import { RANGE, ROWS, stateBytes } from "../kv/layout.js";

const round64 = (bytes: number) => Math.ceil(bytes / 64) * 64;

// A thread's scratch: states, quantised query rows, mapped query rows, peaks and thresholds, and the work area of the kernels.
export const statesBytes = (d: number) => round64(ROWS * stateBytes(d));
export const queriesBytes = (d: number) => round64(ROWS * (2 * d + 16));
export const mappedBytes = (d: number) => round64(ROWS * d * 4);
/** Peaks, then thresholds. */
export const PEAKS = 2 * ROWS * 4;
const workBytes = (d: number) => round64(WORK_BYTES + WORK_BYTES_PER_ELEMENT * d);
export const threadBytes = (d: number) => statesBytes(d) + queriesBytes(d) + mappedBytes(d) + PEAKS + workBytes(d);

/** Bytes of the scratch area that all threads share in `storeKeysValues` and `attend`. */
export function attentionScratchBytes(
  config: Pick<ModelConfig, "heads" | "headDim">,
  contextLength: number,
  threads: number,
): number {
  const ranges = Math.ceil(contextLength / RANGE);
  return threads * threadBytes(config.headDim) + round64(config.heads * ranges * stateBytes(config.headDim));
}

/** The work area of a thread in the scratch area. */
export function attentionWork(scratch: number, thread: { index: number }, headDim: number): number {
  return scratch + thread.index * threadBytes(headDim);
}
