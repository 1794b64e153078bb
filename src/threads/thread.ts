import type { Kernels } from "../kernels/generated.js";

/**
 * What one thread of the team knows while it runs the forward pass. Every thread runs the same code with the same
 * arguments and takes its own share of rows, heads or tokens; the summed dimension is never split.
 */
export interface Thread {
  /** 0 … count − 1; thread 0 is the caller's. */
  readonly index: number;
  readonly count: number;
  readonly kernels: Kernels;
  /** `RECORD_BYTES` bytes of this thread alone, for the records it hands to kernels. */
  readonly records: number;
  /** The memory around `records`; newly allocated blocks may lie beyond it. */
  view(): DataView;
  /** Returns when every thread of the team has arrived; what they wrote before is visible afterwards. */
  barrier(): void;
}

/** Bytes of a thread's records. */
export const RECORD_BYTES = 256;

/** @param records where this thread writes the records of its kernels, `RECORD_BYTES` bytes */
export function makeThread(
  kernels: Kernels,
  memory: WebAssembly.Memory,
  records: number,
  part: { index: number; count: number; barrier(): void } = { index: 0, count: 1, barrier() {} },
): Thread {
  let view = new DataView(memory.buffer);
  return {
    ...part,
    kernels,
    records,
    view() {
      // Memory that is not shared moves when it grows.
      if (view.buffer.byteLength === 0) view = new DataView(memory.buffer);
      return view;
    },
  };
}

/** The part `[start, end)` of `total` units that belongs to this thread, in multiples of `unit`. */
export function share(thread: Thread, total: number, unit = 1): [start: number, end: number] {
  const [start, end] = portion(thread.index, thread.count, Math.ceil(total / unit));
  return [Math.min(start * unit, total), Math.min(end * unit, total)];
}

/** The part of `units` that belongs to thread `index` of `count`. */
export function portion(index: number, count: number, units: number): [start: number, end: number] {
  return [Math.floor((units * index) / count), Math.floor((units * (index + 1)) / count)];
}

/** The same thread as if there were no others. */
export function solo(thread: Thread): Thread {
  return { ...thread, index: 0, count: 1, barrier() {} };
}
