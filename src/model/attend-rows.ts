import { attend, sharesRanges } from "../attention/attend.js";
import { attentionWork, threadBytes } from "../attention/scratch.js";
import { storeKeysValues } from "../kv/store.js";
import type { Thread } from "../threads/thread.js";
import type { PassRows, PlacedSlice } from "./pass-rows.js";
import type { ModelPlan } from "./plan.js";

/** Stores the keys and values of all rows, slice by slice. A barrier must follow, but see `attendsWithOwn`. */
export function storeRows(thread: Thread, plan: ModelPlan, layer: number, { shares, own }: PassRows): void {
  for (const slice of shares.together) store(thread, thread, plan, layer, slice);
  for (const slice of shares.alone) store(own, thread, plan, layer, slice);
}

/** Attention of the rows, slice by slice. A barrier must follow. */
export function attendRows(thread: Thread, plan: ModelPlan, layer: number, { shares, own }: PassRows): void {
  let first = true;
  for (const slice of shares.together) {
    // They use the same scratch.
    if (!first) thread.barrier();
    first = false;
    attendSlice(thread, thread, plan, layer, slice);
  }
  for (const slice of shares.alone) attendSlice(own, thread, plan, layer, slice);
}

/** Whether every thread attends with the heads alone that it has turned and stored itself: nobody has to wait. */
export function attendsWithOwn(thread: Thread, layer: number, { lone, slices }: PassRows): boolean {
  const [slice] = slices;
  return lone && slice !== undefined && !sharesRanges(thread, slice, layer);
}

function store(thread: Thread, of: Thread, { buffers, config }: ModelPlan, layer: number, slice: PlacedSlice): void {
  const at = slice.row * config.kvHeads * config.headDim * 4;
  const work = attentionWork(scratchOf(thread, of, buffers.attentionScratch, config.headDim), thread, config.headDim);
  storeKeysValues(thread, slice, layer, buffers.keys + at, buffers.values + at, work);
}

function attendSlice(
  thread: Thread,
  of: Thread,
  { buffers, config }: ModelPlan,
  layer: number,
  slice: PlacedSlice,
): void {
  const at = slice.row * config.heads * config.headDim * 4;
  const scratch = scratchOf(thread, of, buffers.attentionScratch, config.headDim);
  attend(thread, slice, layer, buffers.attended + at, buffers.queries + at, scratch);
}

/** Scratch of all threads together, or that of thread `of` when it works alone. */
function scratchOf(thread: Thread, of: Thread, scratch: number, headDim: number): number {
  return scratch + (of.index - thread.index) * threadBytes(headDim);
}
