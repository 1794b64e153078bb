import type { Kernels } from "../kernels/generated.js";
import { LINE_UNIT, paddedColumns, ROW_GROUP } from "./layouts/layout.js";
import type { Lines } from "./plan.js";
import type { Weight } from "./weight.js";

/** Fewer rows are not worth a block: its columns would be shorter than a cache line. */
const LEAST_BLOCK = 256;
/** Rows that layout `ternary-lut` keeps together. */
const LUT_PANEL = 1024;

/** Rows of the blocks that `room` bytes can arrange; 0 where there is no room, or only for blocks that are too small. */
function blockRowsFor({ rows, columns }: Weight, room: number): number {
  const units = Math.ceil(rows / LINE_UNIT);
  for (let parts = 1; parts <= units; parts++) {
    const blockRows = (units / parts) * LINE_UNIT;
    if (units % parts !== 0 || (blockRows * paddedColumns(columns)) / 4 + 256 > room) continue;
    return parts === 1 || blockRows >= LEAST_BLOCK ? blockRows : 0;
  }
  return 0;
}

/** Whether `toLines` can do its work: one scale, a layout it knows, and room. */
export function canBeLines(weight: Weight, lines: Lines, room: number): boolean {
  const { layout, rows, columns, blockScales } = weight;
  const row = paddedColumns(columns) / 4;
  if (blockScales !== undefined || (layout !== "ternary" && layout !== "ternary-lut")) return false;
  if (layout === "ternary-lut" && Math.min(rows, LUT_PANEL) * row > room) return false;
  return lines === "rows" ? ROW_GROUP * row <= room : blockRowsFor(weight, room) > 0;
}

/**
 * Brings a ternary matrix that was planned for it to layout `ternary-rows` or `ternary-columns`, in place; `canBeLines` must
 * say so.
 * @param kernels undefined: another thread does it, and only the description changes
 * @param temp address of `room` bytes
 */
export function toLines(kernels: Kernels | undefined, weight: Weight, lines: Lines, temp: number, room: number): void {
  const { address, rows, columns } = weight;
  if (weight.layout === "ternary-lut") kernels?.restore_ternary(address, rows, columns, temp);
  if (lines === "rows") {
    kernels?.arrange_ternary_rows(address, rows, columns, temp);
    weight.layout = "ternary-rows";
    return;
  }
  const blockRows = blockRowsFor(weight, room);
  kernels?.arrange_ternary_columns(address, rows, columns, blockRows, temp);
  weight.layout = "ternary-columns";
  weight.blockRows = blockRows;
}
