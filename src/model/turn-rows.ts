import { spreadOutliers } from "../attention/hadamard.js";
import { applyRope } from "../attention/rope.js";
import { turns, windowOf } from "../config.js";
import { share, type Thread } from "../threads/thread.js";
import type { PassRows } from "./pass-rows.js";
import type { ModelPlan } from "./plan.js";

/**
 * Turns the queries or keys of this thread's rows by their positions, where this layer does, and makes them ready for the
 * cache; of a lone row, those of this thread's heads.
 */
export function turnRows(
  thread: Thread,
  plan: ModelPlan,
  layer: number,
  kind: "queries" | "keys",
  rows: PassRows,
): void {
  const { config, buffers, rope } = plan;
  const { headDim, ropeDim = headDim } = config;
  const heads = kind === "queries" ? config.heads : config.kvHeads;
  const table = windowOf(config, layer) === undefined ? rope.table : rope.windowTable;
  const turned = turns(config, layer);
  const [first, count] = rows.lone ? ownHeads(thread, plan, kind) : [0, heads];
  if (count === 0) return;
  for (const { cache, position, row, tokens } of rows.slices) {
    const start = Math.max(rows.start - row, 0);
    const end = Math.min(rows.end - row, tokens);
    if (start >= end) continue;
    const x = buffers[kind] + (row * heads + first) * headDim * 4;
    const from = x + start * heads * headDim * 4;
    if (turned && ropeDim === headDim) applyRope(thread, table, { x, heads: count, headDim, position }, start, end);
    else if (turned) {
      const angles = table + (position + start) * ropeDim * 4;
      thread.kernels.rope_rotate_part(from, angles, end - start, count, headDim, ropeDim);
    }
    spreadOutliers(thread, cache, kind, from, (end - start) * count);
  }
}

/** The heads of a lone row that this thread attends with, as `storeKeysValues` and `attend` share them out. */
export function ownHeads(
  thread: Thread,
  { config }: ModelPlan,
  kind: "queries" | "keys",
): [first: number, count: number] {
  const group = kind === "queries" ? config.heads / config.kvHeads : 1;
  const [start, end] = share(thread, config.kvHeads);
  return [start * group, (end - start) * group];
}
