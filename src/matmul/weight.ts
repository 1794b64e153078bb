import type { LayoutName } from "./layouts/layout.js";

/** A matrix in memory. Plain data: can be sent to threads as JSON. */
export interface Weight {
  layout: LayoutName;
  rows: number;
  columns: number;
  /** A multiple of 16. */
  address: number;
  bytes: number;
  /** Factor on the output; 1 except for ternary matrices. */
  scale: number;
  /** Address of f32 scales `[groups of 8 rows][columns / 256][8]`, for ternary files whose blocks differ in scale. */
  blockScales?: number | undefined;
  /** Rows of a block of layout `ternary-columns`. */
  blockRows?: number | undefined;
}
