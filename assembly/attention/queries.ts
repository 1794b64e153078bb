import { STEP, storeStep } from "./product";
import { absMax } from "./store";

/** Bytes of a quantised query row: codes, f32 scale / √headDim, i32 correction 64·Σcodes, 8 unused. */
// @ts-ignore: decorator
@inline
export function queryBytes(headDim: i32): usize {
  return (<usize>headDim << 1) + 16;
}

/**
 * Quantises query rows to int8, code = round(127·q / max|q|), half to even, in the layout of this build.
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
): void {
  const bytes = <usize>headDim << 2;
  const root: f32 = 1.0 / sqrt<f32>(<f32>headDim);
  for (let row = 0; row < rows; row++, out += queryBytes(headDim)) {
    const from = q + <usize>(row / group) * stride + <usize>(row % group) * bytes;
    const most = absMax(from, bytes);
    const inverse = f32x4.splat(most > 0 ? 127.0 / most : 0);
    let sum = i32x4.splat(0);
    let at = out;
    for (let i: usize = 0; i < bytes; i += 16, at += STEP) {
      let code = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(from + i), inverse)));
      code = i32x4.max_s(i32x4.min_s(code, i32x4.splat(127)), i32x4.splat(-127));
      storeStep(at, code);
      sum = i32x4.add(sum, code);
    }
    const total =
      i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3);
    store<f32>(out + (<usize>headDim << 1), (most / 127.0) * root);
    store<i32>(out + (<usize>headDim << 1), total << 6, 4);
  }
}
