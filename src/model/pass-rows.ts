import type { CacheDescriptor } from "../kv/descriptor.js";
import { share, solo, type Thread } from "../threads/thread.js";
import { rowsOf, type Slice, wantedOf } from "./slice.js";
import { type SliceShares, shareSlices } from "./slice-shares.js";

/** A slice and where its rows begin in the pass. */
export interface PlacedSlice extends Slice<CacheDescriptor> {
  row: number;
}

/** Rows of a pass, one slice after another, and what of them is this thread's. */
export interface PassRows {
  slices: readonly PlacedSlice[];
  shares: SliceShares<PlacedSlice>;
  count: number;
  start: number;
  end: number;
  /** `[start, end]` */
  span: readonly [start: number, end: number];
  /** This thread where it attends on its own. */
  own: Thread;
  /**
   * One row and several threads: every thread norms and quantises it for itself, which takes less time than to wait for one
   * that does, turns the heads it attends with and gates the columns it has computed. `span` is the row on every thread.
   */
  lone: boolean;
}

/**
 * @param count of rows, where no slices tell
 * @param batch most rows of a pass where a lone row may be one: threads keep their own copies in the room of the others
 */
export function placeRows(
  thread: Thread,
  slices: readonly Slice<CacheDescriptor>[],
  count = rowsOf(slices),
  batch = 0,
): PassRows {
  let row = 0;
  const placed: PlacedSlice[] = [];
  for (const { cache, position, tokens, work, want, sees, ranges } of slices) {
    placed.push({ cache, position, tokens, work, want, sees, ranges, row });
    row += tokens;
  }
  const shares = shareSlices(thread.index, thread.count, placed);
  const lone = count === 1 && thread.count > 1 && thread.count * 2 <= batch;
  const [start, end] = lone ? [0, 1] : share(thread, count);
  const own = shares.alone.length > 0 ? solo(thread) : thread;
  return { slices: placed, shares, count, start, end, span: [start, end], own, lone };
}

/**
 * The rows that are wanted, alone: nothing but their keys and values follows from the others in the last layer.
 * Undefined where that is all of them, or where a cache records its queries.
 */
export function wantedAlone(slices: readonly Slice<CacheDescriptor>[]): Slice<CacheDescriptor>[] | undefined {
  let fewer = false;
  for (const slice of slices) {
    if (slice.cache.recording) return undefined;
    if (wantedOf(slice) < slice.tokens) fewer = true;
  }
  if (!fewer) return undefined;
  const wanted: Slice<CacheDescriptor>[] = [];
  for (const slice of slices) {
    const tokens = wantedOf(slice);
    if (tokens > 0) wanted.push({ ...slice, position: slice.position + slice.tokens - tokens, tokens });
  }
  return wanted;
}

/** Brings the rows `from`, ascending, of `size` f32 numbers to the front. A barrier must follow. */
export function moveRows(thread: Thread, rows: number, from: readonly number[], size: number): void {
  if (thread.index > 0) return;
  const bytes = size * 4;
  for (let to = 0; to < from.length; to++)
    if (from[to] !== to) thread.kernels.copy_bytes(rows + to * bytes, rows + (from[to] as number) * bytes, bytes);
}
