import type { Kernels } from "./kernels.js";

/**
 * What one thread of the team knows while it runs the forward pass. Every thread runs the same code with the same
 * arguments and takes its own share of rows, heads or tokens; the summed dimension is never split.
 */
export interface Thread {
  /** 0 … count − 1; thread 0 is the caller's. */
  readonly index: number;
  readonly count: number;
  readonly kernels: Kernels;
  /** Returns when every thread of the team has arrived; what they wrote before is visible afterwards. */
  barrier(): void;
}

/** The part `[start, end)` of `total` units that belongs to this thread, in multiples of `unit`. */
export function share(thread: Thread, total: number, unit = 1): [start: number, end: number] {
  const units = Math.ceil(total / unit);
  const start = Math.floor((units * thread.index) / thread.count) * unit;
  const end = Math.floor((units * (thread.index + 1)) / thread.count) * unit;
  return [Math.min(start, total), Math.min(end, total)];
}
