import type { Slice } from "./slice.js";

/** One thread's part of the attention of a pass. */
export interface SliceShares<Placed> {
  /** Slices whose heads all threads share out. */
  together: Placed[];
  /** Slices this thread computes on its own, without waiting for others. */
  alone: Placed[];
}

/** A thread may have so much more than the average to do before a slice is shared out instead: barriers are not free. */
const MOST_UNEVEN = 1.25;
/** Keys that take about as long as the barriers of a slice that is shared out. */
const BARRIER_KEYS = 256;

/**
 * Who attends for which slices. Several sequences that decode are dealt out whole, longest first, as long as every
 * thread gets about the same number of keys; prefill, and sequences too long for that, are computed by all together.
 * The same on every thread.
 */
export function shareSlices<Placed extends Slice<unknown>>(
  index: number,
  threads: number,
  slices: readonly Placed[],
): SliceShares<Placed> {
  if (threads === 1 || slices.length === 1) return { together: [...slices], alone: [] };
  const together = slices.filter(({ tokens }) => tokens > 1);
  const single = slices.filter(({ tokens }) => tokens === 1).sort((a, b) => b.position - a.position);
  for (; single.length > 0; together.push(single.shift() as Placed)) {
    const dealt = Array.from({ length: threads }, () => ({ keys: 0, slices: [] as Placed[] }));
    for (const slice of single) {
      const least = dealt.reduce((best, one) => (one.keys < best.keys ? one : best));
      least.keys += slice.position + 1;
      least.slices.push(slice);
    }
    const mean = dealt.reduce((sum, { keys }) => sum + keys, 0) / threads;
    const most = Math.max(...dealt.map(({ keys }) => keys));
    if (most <= mean * MOST_UNEVEN + BARRIER_KEYS)
      return { together, alone: (dealt[index] as (typeof dealt)[number]).slices };
  }
  return { together, alone: [] };
}
