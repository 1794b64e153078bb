import { portion } from "../threads/thread.js";
import type { Slice } from "./slice.js";

/** One thread's part of the attention of a pass. */
export interface SliceShares<Placed> {
  /** Slices whose heads all threads share out. */
  together: Placed[];
  /** Slices this thread computes on its own, without waiting for others. */
  alone: Placed[];
  /**
   * All slices are single rows, and each thread has those of the rows it norms and quantises: what it turns, stores, attends
   * and quantises after that is of its rows alone, so that nobody has to wait in between.
   */
  byRow: boolean;
}

/** A thread may have so much more than the average to do before a slice is shared out instead: barriers are not free. */
const MOST_UNEVEN = 1.25;
/** Keys that take about as long as the barriers of a slice that is shared out. */
const BARRIER_KEYS = 256;

/**
 * Who attends for which slices. Several sequences that decode are dealt out whole, by row or else longest first, as long
 * as every thread gets about the same number of keys; prefill, and sequences too long for that, are computed by all together.
 * The same on every thread.
 */
export function shareSlices<Placed extends Slice<unknown>>(
  index: number,
  threads: number,
  slices: readonly Placed[],
): SliceShares<Placed> {
  if (threads === 1 || slices.length === 1) return { together: [...slices], alone: [], byRow: false };
  const keysOf = (some: readonly Placed[]) => some.reduce((sum, { position }) => sum + position + 1, 0);
  if (slices.every(({ tokens }) => tokens === 1)) {
    const rows = Array.from({ length: threads }, (_, i) => slices.slice(...portion(i, threads, slices.length)));
    if (even(rows.map(keysOf))) return { together: [], alone: rows[index] as Placed[], byRow: true };
  }
  const together = slices.filter(({ tokens }) => tokens > 1);
  const single = slices.filter(({ tokens }) => tokens === 1).sort((a, b) => b.position - a.position);
  for (; single.length > 0; together.push(single.shift() as Placed)) {
    const dealt = Array.from({ length: threads }, () => ({ keys: 0, slices: [] as Placed[] }));
    for (const slice of single) {
      const least = dealt.reduce((best, one) => (one.keys < best.keys ? one : best));
      least.keys += slice.position + 1;
      least.slices.push(slice);
    }
    if (even(dealt.map(({ keys }) => keys)))
      return { together, alone: (dealt[index] as (typeof dealt)[number]).slices, byRow: false };
  }
  return { together, alone: [], byRow: false };
}

/** Whether no thread has much more than the average to do. */
function even(keys: readonly number[]): boolean {
  const mean = keys.reduce((sum, some) => sum + some, 0) / keys.length;
  return Math.max(...keys) <= mean * MOST_UNEVEN + BARRIER_KEYS;
}
