import { QueryRows } from "../abi";
import { expF32x4 } from "../ops/exp";
import { max4, pageOf, RANGE, sum4 } from "./layout";
import { clearState, mergeState, stateBytes, storeState } from "./softmax";
import { addValues, countOf, fourRows, fromOf, queryOf, TILE } from "./tile-f32";

/**
 * Attention of query rows over the keys `start` … `start` + 511 up to each row's own position, f32 cache: the exact
 * reference. A dot product sums elements i, i + 4, i + 8 … per lane, then lanes (0 + 2) + (1 + 3); weights are summed the
 * same way, values added in the order of their positions. States, rows and `fresh` as in `attention_range_int8`. Work: 8,192
 * bytes of scores and four states.
 */
export function attention_range_f32(states: usize, rows: QueryRows, start: i32, fresh: i32): void {
  const size = stateBytes(rows.cache.headDim);
  const tiles = rows.rows & ~(TILE - 1);
  let row = 0;
  for (; row < tiles; row += TILE, states += <usize>TILE * size) {
    const part = fresh ? states : rows.work + <usize>(TILE * RANGE << 2);
    // Later rows end no earlier, and begin no earlier: when the first one has keys and the last one too, all have.
    if (countOf(rows, row, start) > 0 && fromOf(rows, row + TILE - 1, start) < countOf(rows, row, start))
      fourRows(part, rows, row, start);
    else {
      for (let r = 0; r < TILE; r++) oneRow(states + <usize>r * size, rows, row + r, start, fresh);
      continue;
    }
    if (!fresh) for (let r: usize = 0; r < 4; r++) mergeState(states + r * size, part + r * size, rows.cache.headDim);
  }
  for (; row < rows.rows; row++, states += size) oneRow(states, rows, row, start, fresh);
}

/** The state of one row, where it sees any key of the range. */
function oneRow(states: usize, rows: QueryRows, row: i32, start: i32, fresh: i32): void {
  const cache = rows.cache;
  const headDim = cache.headDim;
  const work = rows.work;
  const bytes = <usize>headDim << 2;
  const offset = <usize>rows.slot * (bytes << 6);
  const count = countOf(rows, row, start);
  if (count <= 0) return;
  const from = fromOf(rows, row, start);
  if (from >= count) {
    if (fresh) clearState(states, headDim);
    return;
  }
  const root: f32 = 1.0 / sqrt<f32>(<f32>headDim);
  const query = queryOf(rows, row);
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
  const state = fresh ? states : work + <usize>(TILE * RANGE << 2);
  storeState(state, headDim, top, total);
  memory.fill(state, 0, bytes);
  addValues(state, work, 4, cache.values, offset, start, from, count, bytes);
  if (!fresh) mergeState(states, state, headDim);
}
