// Rows of the layouts with a scale per block of columns, as f32: out [tokens][columns]; zeros for an id outside the matrix.
import { Lookup } from "../../abi/lookup";
import { zeroRow } from "../store";
import { blockBytes, CODES, Q6, Q8 } from "./block-gemm";
import { valueCodes } from "./codes";
import { Q4, Q4_K, Q4_MIN, valueQ4 } from "./q4";
import { valueQ6 } from "./q6";
import { valueQ8 } from "./q8";

// @ts-ignore: decorator
@inline
function value(layout: i32, panel: usize, lane: i32, column: i32): f32 {
  if (layout == Q6) return valueQ6(panel, lane, column);
  if (layout == Q8) return valueQ8(panel, lane, column);
  if (layout == CODES) return valueCodes(panel, lane, column);
  return valueQ4(layout, panel, lane, column);
}

/** Not inlined: a row is read per token, and six copies would only be larger. */
function look(layout: i32, lookup: Lookup): void {
  let out = lookup.out;
  const columns = lookup.columns;
  const panelBytes = <usize>((columns + 31) >> 5) * blockBytes(layout);
  for (let t = 0; t < lookup.tokens; t++, out += (<usize>columns) << 2) {
    const row = load<i32>(lookup.ids + (t << 2));
    if (<u32>row >= <u32>lookup.rows) {
      zeroRow(out, columns);
      continue;
    }
    const panel = lookup.weights + <usize>(row >> 3) * panelBytes;
    for (let c = 0; c < columns; c++) store<f32>(out + ((<usize>c) << 2), value(layout, panel, row & 7, c));
  }
}

/** Layout `q4`. */
export function rows_q4(lookup: Lookup): void {
  look(Q4, lookup);
}

/** Layout `q4min`. */
export function rows_q4min(lookup: Lookup): void {
  look(Q4_MIN, lookup);
}

/** Layout `q4k`. */
export function rows_q4k(lookup: Lookup): void {
  look(Q4_K, lookup);
}

/** Layout `q6`. */
export function rows_q6(lookup: Lookup): void {
  look(Q6, lookup);
}

/** Layout `q8`. */
export function rows_q8(lookup: Lookup): void {
  look(Q8, lookup);
}

/** Layout `codes`. */
export function rows_codes(lookup: Lookup): void {
  look(CODES, lookup);
}
