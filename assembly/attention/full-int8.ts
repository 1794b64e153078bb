import { blockOf, max4, RANGE, TILE } from "./layout";
import { keyProduct, STEP, storeStep, valueProduct } from "./product";
import { mergeState, rowWeights, scaleScores, stateBytes, storeState } from "./softmax";
import { absMax } from "./store";

/** Bytes of a quantised query row: codes, f32 scale / √headDim, i32 correction 64·Σcodes, 8 unused. */
// @ts-ignore: decorator
@inline
function queryBytes(headDim: i32): usize {
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

/** Bytes of the work area of `attention_range_int8`. */
export const WORK_SCORES: usize = 4 * 512 * 4;
export const WORK_CODES: usize = 4 * 512 * 2;

/**
 * Attention of query rows over the keys `start` … `start` + 511 up to each row's own position, int8 cache. A row's result
 * does not depend on the other rows. The first range (`start` = 0, or `fresh`) sets the states, later ones are folded in.
 * @param states f32 [rows][headDim + 4]; rows are [token][group], the first token is at `position`
 * @param queries from `attention_queries_int8`
 * @param work 12,544 + 32·headDim bytes (scores, codes of weights, tile scales, sums, one state)
 * @param keyBlocks, keyOffset, valueBlocks, valueOffset as in `cache_store_keys_int8`
 */
export function attention_range_int8(
  states: usize,
  queries: usize,
  rows: i32,
  group: i32,
  position: i32,
  work: usize,
  keyBlocks: usize,
  keyOffset: usize,
  valueBlocks: usize,
  valueOffset: usize,
  start: i32,
  fresh: i32,
  headDim: i32,
): void {
  const weights = work + WORK_SCORES;
  const tileScales = weights + WORK_CODES;
  const sums = tileScales + 128;
  const part = sums + (<usize>headDim << 4);
  const stateSize = stateBytes(headDim);
  const querySize = queryBytes(headDim);
  const bytes = <usize>headDim << 2;
  const scalesAt = <usize>headDim << 6;
  for (let first = 0; first < rows; first += 4) {
    const some = min(4, rows - first);
    const most = min(RANGE, position + (first + some - 1) / group + 1 - start);
    if (most <= 0) continue;
    const query = queries + <usize>first * querySize;
    for (let k = 0; k < most; k += TILE) {
      const codes = blockOf(keyBlocks, start + k) + keyOffset;
      const groups = min(16, ((most - k + 7) >> 3) << 1);
      keyProduct(work + (<usize>k << 2), RANGE << 2, query, querySize, some, codes, headDim, groups);
    }
    for (let r = 0; r < some; r++) {
      const row = first + r;
      const count = min(RANGE, position + row / group + 1 - start);
      if (count <= 0) continue;
      const scores = work + <usize>r * (RANGE << 2);
      const constants = query + <usize>r * querySize + (<usize>headDim << 1);
      let largest = f32x4.splat(-Infinity);
      for (let k = 0; k < count; k += TILE) {
        const scales = blockOf(keyBlocks, start + k) + keyOffset + scalesAt;
        largest = scaleScores(
          scores + (<usize>k << 2), load<i32>(constants, 4), scales, min(TILE, count - k), largest);
      }
      const top = max4(largest);
      const scale = load<f32>(constants);
      const sum = rowWeights(
        weights + <usize>r * (RANGE << 1),
        tileScales + (<usize>r << 5),
        scores,
        top,
        scale * 1.4426950408889634,
        valueBlocks + (<usize>(start >> 6) << 2),
        valueOffset + scalesAt,
        count,
      );
      const state = fresh ? states + <usize>row * stateSize : part + <usize>r * stateSize;
      storeState(state, headDim, top * scale, sum);
    }
    for (let k = 0; k < most; k += TILE) {
      const codes = blockOf(valueBlocks, start + k) + valueOffset;
      valueProduct(
        sums, bytes, weights + <usize>(k >> 2) * STEP, RANGE << 1, some, codes, headDim, min(16, (most - k + 3) >> 2));
      for (let r = 0; r < some; r++) {
        const row = first + r;
        if (position + row / group < start + k) continue;
        const state = fresh ? states + <usize>row * stateSize : part + <usize>r * stateSize;
        const scale = f32x4.splat(load<f32>(tileScales + (<usize>r << 5) + (<usize>(k >> 6) << 2)));
        const from = sums + <usize>r * bytes;
        for (let i: usize = 0; i < bytes; i += 16) {
          const x = f32x4.mul(f32x4.convert_i32x4_s(v128.load(from + i)), scale);
          v128.store(state + i, k ? f32x4.add(v128.load(state + i), x) : x);
        }
      }
    }
    if (!fresh)
      for (let r = 0; r < some; r++)
        if (position + (first + r) / group >= start)
          mergeState(states + <usize>(first + r) * stateSize, part + <usize>r * stateSize, headDim);
  }
}
