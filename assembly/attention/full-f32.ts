import { QueryRows } from "../abi";
import { expF32x4 } from "../ops/exp";
import { max4, pageOf, RANGE, sum4 } from "./layout";
import { clearState, mergeState, stateBytes, storeState } from "./softmax";

/**
 * Attention of query rows over the keys `start` … `start` + 511 up to each row's own position, f32 cache: the exact
 * reference. A dot product sums elements i, i + 4, i + 8 … per lane, then lanes (0 + 2) + (1 + 3); values are added in the
 * order of their positions. States, rows and `fresh` as in `attention_range_int8`. Work: 2,048 bytes of scores and one state.
 */
export function attention_range_f32(states: usize, rows: QueryRows, start: i32, fresh: i32): void {
  const cache = rows.cache;
  const headDim = cache.headDim;
  const group = cache.group;
  const work = rows.work;
  const bytes = <usize>headDim << 2;
  const offset = <usize>rows.slot * (bytes << 6);
  const root: f32 = 1.0 / sqrt<f32>(<f32>headDim);
  for (let row = 0; row < rows.rows; row++, states += stateBytes(headDim)) {
    const at = rows.position + row / rows.group;
    const count = min(RANGE, at + 1 - start);
    if (count <= 0) continue;
    const from = rows.window > 0 ? max(0, at + 1 - rows.window - start) : 0;
    if (from >= count) {
      if (fresh) clearState(states, headDim);
      continue;
    }
    const query = rows.queries + <usize>(row / group) * rows.stride + <usize>(row % group) * bytes;
    for (let k = 0; k < from; k++) store<f32>(work + (<usize>k << 2), -Infinity);
    for (let k = from; k < count; k++) {
      const key = pageOf(cache.keys, start + k) + offset + <usize>(k & 63) * bytes;
      let sum = f32x4.splat(0);
      for (let i: usize = 0; i < bytes; i += 16)
        sum = f32x4.add(sum, f32x4.mul(v128.load(query + i), v128.load(key + i)));
      store<f32>(work + (<usize>k << 2), sum4(sum) * root);
    }
    const whole = (count + 3) & ~3;
    for (let k = count; k < whole; k++) store<f32>(work + (<usize>k << 2), -Infinity);
    let largest = f32x4.splat(-Infinity);
    for (let k = 0; k < whole; k += 4) largest = f32x4.pmax(largest, v128.load(work + (<usize>k << 2)));
    const top = max4(largest);
    let total = f32x4.splat(0);
    for (let k = 0; k < whole; k += 4) {
      const at = work + (<usize>k << 2);
      const x = v128.load(at);
      const p = v128.and(
        expF32x4(f32x4.sub(x, f32x4.splat(top))),
        f32x4.gt(x, f32x4.splat(-Infinity)),
      );
      total = f32x4.add(total, p);
      v128.store(at, p);
    }
    const state = fresh ? states : work + (RANGE << 2);
    storeState(state, headDim, top, total);
    for (let i: usize = 0; i < bytes; i += 64) {
      let a = f32x4.splat(0);
      let b = a;
      let c = a;
      let d = a;
      for (let k = from; k < count; k++) {
        const value = pageOf(cache.values, start + k) + offset + <usize>(k & 63) * bytes + i;
        const p = v128.load32_splat(work + (<usize>k << 2));
        a = f32x4.add(a, f32x4.mul(p, v128.load(value)));
        b = f32x4.add(b, f32x4.mul(p, v128.load(value, 16)));
        c = f32x4.add(c, f32x4.mul(p, v128.load(value, 32)));
        d = f32x4.add(d, f32x4.mul(p, v128.load(value, 48)));
      }
      v128.store(state + i, a);
      v128.store(state + i, b, 16);
      v128.store(state + i, c, 32);
      v128.store(state + i, d, 48);
    }
    if (!fresh) mergeState(states, state, headDim);
  }
}
