import { codes } from "./codes.js";
import { bf16, f16, f32 } from "./floats.js";
import type { LayoutName, WeightLayout } from "./layout.js";
import { q4, q4k, q4min } from "./q4.js";
import { q6 } from "./q6.js";
import { q8 } from "./q8.js";
import { ternary } from "./ternary.js";
import { ternaryColumns, ternaryRows } from "./ternary-lines.js";
import { ternaryLut } from "./ternary-lut.js";

/** Every weight layout by its name. A new one is a file here, its kernels in assembly/matmul/layouts, and a line. */
export const layouts: Readonly<Record<LayoutName, WeightLayout>> = {
  ternary,
  "ternary-lut": ternaryLut,
  "ternary-rows": ternaryRows,
  "ternary-columns": ternaryColumns,
  q4,
  q4min,
  q4k,
  q6,
  q8,
  codes,
  f16,
  bf16,
  f32,
};

let last: WeightLayout = ternary;
let lastName: LayoutName = "ternary";

/** The layout of that name. A token asks a thousand times, mostly for the same one: looking at the table takes longer. */
export function layoutOf(name: LayoutName): WeightLayout {
  if (name !== lastName) {
    lastName = name;
    last = layouts[name];
  }
  return last;
}
