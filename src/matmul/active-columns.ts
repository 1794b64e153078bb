import type { Thread } from "../threads/thread.js";
import { activationStride } from "./activations.js";
import { lineBytes } from "./layouts/layout.js";
import type { Weight } from "./weight.js";

/** Where the lists of a product's active columns are: for each token 4 bytes per column, both. */
export interface ColumnLists {
  /** u32: where in a block of the matrix the columns begin. */
  offsets: number;
  /** i8: what they are multiplied with. */
  values: number;
}

/** Lists the columns that meet a number other than zero, of the quantised tokens `[start, end)`. */
export function listColumns(
  thread: Thread,
  weight: Weight,
  activations: number,
  { offsets, values }: ColumnLists,
  [start, end]: readonly [start: number, end: number],
): void {
  if (end <= start) return;
  const { columns, blockRows = 0 } = weight;
  const records = activations + start * activationStride("int8-token", columns);
  const at = start * columns * 4;
  thread.kernels.list_columns(records, end - start, columns, lineBytes(blockRows), offsets + at, values + at);
}

/** Active columns of all tokens together. */
export function activeColumns(thread: Thread, { columns }: Weight, activations: number, tokens: number): number {
  return thread.kernels.active_columns(activations, tokens, columns);
}
