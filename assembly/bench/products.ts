// The parts of int8 attention one at a time, for bench/: QKᵀ, softmax and PV of a decode step over all keys, as
// `attention_range_int8` does them. Not in the package.
import { pageOf, max4, RANGE, PAGE, touchParts } from "../attention/layout";
import { Cache } from "../abi";
import { keyPart, valuePart, windowStart } from "../attention/cache";
import { STEP, valueProduct } from "../attention/product";
import { queryBytes } from "../attention/queries";
import { farTiles, integerScores, NEAR_BYTES } from "../attention/scores";
import { rowWeights, scaleScores } from "../attention/softmax";

// Work area: integer scores [4][512], codes of weights [4][512], tile scales [4][8], sums [4][headDim] and results
// [4][headDim], near scores, addresses of far tiles, unpacked tiles [8] and 256 bytes.
const CODES: usize = 4 * 512 * 4;
const TILE_SCALES: usize = CODES + 4 * 512 * 2;
const SUMS: usize = TILE_SCALES + 128;
const RESULTS: usize = SUMS + 4 * 4 * 256;
const NEAR: usize = RESULTS + 4 * 4 * 256;
const TILES: usize = NEAR + NEAR_BYTES;
const UNPACKED: usize = TILES + 64;

/** Bytes of the work area of the functions below, for heads of up to 256 elements. */
export function work_bytes(headDim: i32): i32 {
  return <i32>UNPACKED + (headDim << 9) + 256;
}

/** Fills the codes of weights with 0 … 127, so that `values` has something to multiply. */
export function prepare(work: usize): void {
  for (let i: usize = 0; i < 4 * 512 * 2; i++)
    store<u8>(work + CODES + i, STEP == 4 || !(i & 1) ? <u8>((i * 37) & 127) : 0);
  for (let i: usize = 0; i < 32; i++) store<f32>(work + TILE_SCALES + (i << 2), 0.001);
}

/** Touches the keys, or the values, of `count` tokens from `start` on, as `attention_range_int8` touches both. */
// @ts-ignore: decorator
@inline
function touchRange(blocks: usize, start: i32, count: i32, part: usize, headDim: i32): void {
  const table = blocks + (<usize>(start >> 6) << 2);
  const half = (count + PAGE - 1) >> 7;
  touchParts(table, table + (<usize>half << 2), half, part, (<usize>headDim << 6) + 256);
}

/**
 * QKᵀ: integer scores of `rows` ≤ 4 heads of the query at `position` with the keys 0 … position.
 * @param queries from `attention_queries_int8`
 * @param slot layer · kvHeads + KV head
 */
export function scores(queries: usize, rows: i32, position: i32, work: usize, cache: Cache, slot: i32): void {
  const headDim = cache.headDim;
  const offset = keyPart(cache, slot);
  const delta = cache.far != 0;
  for (let start = 0; start <= position; start += RANGE) {
    const count = min(RANGE, position + 1 - start);
    if (delta)
      farTiles(work + TILES, work + UNPACKED, cache, slot, start, start + count, windowStart(cache, position));
    else touchRange(cache.keys, start, count, offset, headDim);
    integerScores(
      work, cache, offset, queries, position, 0, rows, start, count, work + TILES, work + NEAR);
  }
}

/** Scaling of scores, exponentials and 7-bit weights, on whatever scores the work area holds. Arguments as for `scores`. */
export function softmax(queries: usize, rows: i32, position: i32, work: usize, cache: Cache, slot: i32): void {
  const headDim = cache.headDim;
  const scalesAt = <usize>headDim << 6;
  const offset = keyPart(cache, slot);
  const valuePages = cache.values;
  for (let start = 0; start <= position; start += RANGE) {
    const count = min(RANGE, position + 1 - start);
    for (let r = 0; r < rows; r++) {
      const row = work + <usize>r * (RANGE << 2);
      const constants = queries + <usize>r * queryBytes(headDim) + (<usize>headDim << 1);
      let largest = f32x4.splat(-Infinity);
      for (let k = 0; k < count; k += PAGE) {
        const scales = cache.far ? 0 : pageOf(cache.keys, start + k) + offset + scalesAt;
        largest = scaleScores(
          row + (<usize>k << 2), load<i32>(constants, 4), scales, min(PAGE, count - k), largest);
      }
      const sum = rowWeights(
        f32x4.splat(0),
        work + CODES + <usize>r * (RANGE << 1),
        work + TILE_SCALES + (<usize>r << 5),
        row,
        max4(largest),
        load<f32>(constants) * 1.4426950408889634,
        valuePages + (<usize>(start >> 6) << 2),
        valuePart(cache, slot) + scalesAt,
        count,
        0,
        -1,
        position,
        0,
      );
      v128.store(work + RESULTS + <usize>r * (<usize>headDim << 2), sum);
    }
  }
}

/** PV: sums of the values 0 … position with the weights in the work area. Arguments as for `scores`. */
export function values(rows: i32, position: i32, work: usize, cache: Cache, slot: i32): void {
  const headDim = cache.headDim;
  const bytes = <usize>headDim << 2;
  const offset = valuePart(cache, slot);
  const pages = cache.values;
  memory.fill(work + RESULTS, 0, <usize>rows * bytes);
  for (let start = 0; start <= position; start += RANGE) {
    const count = min(RANGE, position + 1 - start);
    touchRange(pages, start, count, offset, headDim);
    for (let k = 0; k < count; k += PAGE) {
      const groups = min(16, (count - k + 3) >> 2);
      const from = work + CODES + <usize>(k >> 2) * STEP;
      valueProduct(
        work + SUMS, bytes, from, RANGE << 1, rows, pageOf(pages, start + k) + offset, headDim, groups);
      for (let r = 0; r < rows; r++) {
        const scale = f32x4.splat(load<f32>(work + TILE_SCALES + (<usize>r << 5) + (<usize>(k >> 6) << 2)));
        const sums = work + SUMS + <usize>r * bytes;
        const state = work + RESULTS + <usize>r * bytes;
        for (let i: usize = 0; i < bytes; i += 16) {
          const x = f32x4.mul(f32x4.convert_i32x4_s(v128.load(sums + i)), scale);
          v128.store(state + i, f32x4.add(v128.load(state + i), x));
        }
      }
    }
  }
}
