import { spreadOutliers } from "../attention/hadamard.js";
import { applyRope } from "../attention/rope.js";
import { turns, windowOf } from "../config.js";
import type { Thread } from "../threads/thread.js";
import type { PassRows } from "./pass-rows.js";
import type { ModelPlan } from "./plan.js";

/** Turns the queries or keys of this thread's rows by their positions, where this layer does, and makes them ready for the cache. */
export function turnRows(
  thread: Thread,
  { config, buffers, rope }: ModelPlan,
  layer: number,
  kind: "queries" | "keys",
  rows: PassRows,
): void {
  const { headDim, ropeDim = headDim } = config;
  const heads = kind === "queries" ? config.heads : config.kvHeads;
  const table = windowOf(config, layer) === undefined ? rope.table : rope.windowTable;
  const turned = turns(config, layer);
  for (const { cache, position, row, tokens } of rows.slices) {
    const [start, end] = [Math.max(rows.start - row, 0), Math.min(rows.end - row, tokens)];
    if (start >= end) continue;
    const x = buffers[kind] + row * heads * headDim * 4;
    const from = x + start * heads * headDim * 4;
    if (turned && ropeDim === headDim) applyRope(thread, table, { x, heads, headDim, position }, start, end);
    else if (turned) {
      const angles = table + (position + start) * ropeDim * 4;
      thread.kernels.rope_rotate_part(from, angles, end - start, heads, headDim, ropeDim);
    }
    spreadOutliers(thread, cache, kind, from, end - start);
  }
}
