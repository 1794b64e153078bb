import { QueryRows } from "../abi";
import { STEP, storeLong, storeStep } from "./product";
import { absMax } from "./store";

/** Position of the query of a row. */
// @ts-ignore: decorator
@inline
export function positionOf(rows: QueryRows, row: i32): i32 {
  return rows.position + row / rows.group;
}

/** Bytes of a quantised query row: codes, f32 scale / √headDim, i32 correction 64·Σcodes, i32 [2] of `attention_thresholds`. */
// @ts-ignore: decorator
@inline
export function queryBytes(headDim: i32): usize {
  return (<usize>headDim << 1) + 16;
}

/** Largest long query code: 128·127 + 63. */
const LONG: f32 = 16319;

/**
 * Quantises query rows, code = round(most·q / max|q|), half to even, in the layout of this build. `most` is 127, or 16,319
 * with `long`, for keys on a grid in the raw basis: there a query is in units of the grid's steps, and its elements differ
 * so much that 8 bits lose some that matter (SmolLM2: up to 0.7 % perplexity). In the score basis 8 bits lose nothing.
 * @param q f32; row r is head r mod `group` of token r / `group`, tokens `stride` bytes apart
 * @param out [rows][2·headDim + 16 bytes]
 */
export function attention_queries_int8(
  out: usize,
  q: usize,
  stride: usize,
  rows: i32,
  group: i32,
  headDim: i32,
  long: i32,
): void {
  const largest: f32 = long ? LONG : 127;
  const bytes = <usize>headDim << 2;
  const root: f32 = 1.0 / sqrt<f32>(<f32>headDim);
  const top = i32x4.splat(<i32>largest);
  const bottom = i32x4.neg(top);
  for (let row = 0; row < rows; row++, out += queryBytes(headDim)) {
    const from = q + <usize>(row / group) * stride + <usize>(row % group) * bytes;
    const most = absMax(from, bytes);
    const inverse = f32x4.splat(most > 0 ? largest / most : 0);
    let sum = i32x4.splat(0);
    let at = out;
    for (let i: usize = 0; i < bytes; i += 16, at += STEP) {
      let code = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(from + i), inverse)));
      code = i32x4.max_s(i32x4.min_s(code, top), bottom);
      if (long) storeLong(at, code, headDim);
      else storeStep(at, code);
      sum = i32x4.add(sum, code);
    }
    const total =
      i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3);
    store<f32>(out + (<usize>headDim << 1), (most / largest) * root);
    store<i32>(out + (<usize>headDim << 1), total << 6, 4);
  }
}
