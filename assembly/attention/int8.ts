import { blockOf, max4, RANGE, TILE, touchParts } from "./layout";
import {
  cutoffOf, farBlocks, groupOf, headDimOf, keyBlocks, keyPart, sinkOf, valueBlocks, valuePart, windowStart,
} from "./parameters";
import { STEP } from "./product";
import { queryBytes } from "./queries";
import { farTiles, integerScores } from "./scores";
import { mergeState, rangeCutoff, rowWeights, scaleScores, stateBytes, storeState } from "./softmax";
import { addCounts, neededGroups, tileValues, touchGroups } from "./values";
import { CODES, NEAR, SUMS, TILE_SCALES, TILES } from "./work";

/** `largest`, and the scores of one query at `at` with the whole keys among those from `tile` on (0 or its newest tile). */
export function newestPeak(
  largest: v128,
  tile: i32,
  query: usize,
  at: i32,
  work: usize,
  parameters: usize,
  index: i32,
): v128 {
  const headDim = headDimOf(parameters);
  const keyOffset = keyPart(parameters, index);
  const unfolded = work + SUMS + (<usize>headDim << 4) + 4 * stateBytes(headDim);
  const newest = max(0, at - TILE + 1) & ~(TILE - 1);
  for (; tile <= at; tile = tile < newest ? newest : tile + TILE) {
    const count = min(TILE, at + 1 - tile);
    if (farBlocks(parameters))
      farTiles(work + TILES, unfolded, parameters, index, tile, tile + count, windowStart(parameters, at));
    integerScores(work, parameters, keyOffset, query, at, 0, 1, tile, count, work + TILES, work + NEAR);
    const scales = farBlocks(parameters) ? 0 : blockOf(keyBlocks(parameters), tile) + keyOffset + (<usize>headDim << 6);
    largest = scaleScores(work, load<i32>(query + (<usize>headDim << 1), 4), scales, count, largest);
  }
  return largest;
}

/**
 * For value skipping: the largest score (times its scale) of each query row with the first tile of keys and with the whole
 * keys among its newest 64. f32 [rows].
 * Arguments as for `attention_range_int8`.
 */
export function attention_peaks_int8(
  peaks: usize,
  queries: usize,
  rows: i32,
  position: i32,
  work: usize,
  parameters: usize,
  index: i32,
): void {
  const group = groupOf(parameters);
  const headDim = headDimOf(parameters);
  for (let row = 0; row < rows; row++, peaks += 4, queries += queryBytes(headDim)) {
    const largest = newestPeak(f32x4.splat(-Infinity), 0, queries, position + row / group, work, parameters, index);
    store<f32>(peaks, max4(largest) * load<f32>(queries + (<usize>headDim << 1)));
  }
}

/**
 * Attention of query rows over the keys `start` … `start` + 511 up to each row's own position, int8 cache. A row's result
 * does not depend on the other rows. With `fresh` the states are set, otherwise the range is folded into them.
 * @param states f32 [rows][headDim + 4]; rows are [token][group], the first token is at `position`
 * @param queries from `attention_queries_int8`
 * @param peaks from `attention_peaks_int8`; not read when the value cutoff is 0
 * @param work `attention_work_bytes`
 * @param parameters of the cache, see parameters.ts; `index` is layer · kvHeads + KV head
 * @param counters four u64, added to: groups of 4 values multiplied, those of full attention, the same of keys
 */
export function attention_range_int8(
  states: usize,
  queries: usize,
  peaks: usize,
  rows: i32,
  position: i32,
  work: usize,
  parameters: usize,
  index: i32,
  start: i32,
  fresh: i32,
  counters: usize,
): void {
  const headDim = headDimOf(parameters);
  const group = groupOf(parameters);
  const cutoff = cutoffOf(parameters);
  const weights = work + CODES;
  const tileScales = work + TILE_SCALES;
  const part = work + SUMS + (<usize>headDim << 4);
  const stateSize = stateBytes(headDim);
  const querySize = queryBytes(headDim);
  const scalesAt = <usize>headDim << 6;
  const offset = valuePart(parameters, index);
  const keyOffset = keyPart(parameters, index);
  const delta = farBlocks(parameters) != 0;
  const keys = keyBlocks(parameters);
  const values = valueBlocks(parameters);
  const tableAt = <usize>(start >> 6) << 2;
  if (delta) {
    const last = position + (rows - 1) / group;
    farTiles(
      work + TILES, part + 4 * stateSize, parameters, index, start, min(start + RANGE, last + 1), windowStart(parameters, last));
  }
  let multiplied: u64 = 0;
  let keysMultiplied: u64 = 0;
  let all: u64 = 0;
  for (let first = 0; first < rows; first += 4) {
    const some = min(4, rows - first);
    const most = min(RANGE, position + (first + some - 1) / group + 1 - start);
    if (most <= 0) continue;
    const query = queries + <usize>first * querySize;
    const state4 = fresh ? states + <usize>first * stateSize : part;
    if (first == 0) {
      // Of what is read whole: folded keys and values that may be skipped are not.
      const blocks = (most + TILE - 1) >> 6;
      const size = scalesAt + 256;
      if (!delta && cutoff == 0) touchParts(keys + tableAt, values + tableAt, blocks, offset, size);
      else if (!delta || cutoff == 0) {
        const table = (delta ? values : keys) + tableAt;
        touchParts(table, table + (<usize>(blocks >> 1) << 2), blocks >> 1, offset, size);
      }
      if (cutoff > 0) touchParts(values + tableAt, values + tableAt, blocks, offset + scalesAt, 256);
    }
    keysMultiplied += integerScores(
      work, parameters, keyOffset, query, position, first, some, start, most, work + TILES, work + NEAR);
    for (let r = 0; r < some; r++) {
      const row = first + r;
      const at = position + row / group;
      const count = max(0, min(RANGE, at + 1 - start));
      // Codes after the row's last tile are read together with those of later rows.
      const end = <usize>(((count + TILE - 1) & ~(TILE - 1)) >> 2) * STEP;
      memory.fill(weights + <usize>r * (RANGE << 1) + end, 0, (RANGE << 1) - end);
      if (count == 0) continue;
      const scores = work + <usize>r * (RANGE << 2);
      const constants = query + <usize>r * querySize + (<usize>headDim << 1);
      let largest = f32x4.splat(-Infinity);
      for (let k = 0; k < count; k += TILE) {
        const scales = delta ? 0 : blockOf(keys, start + k) + keyOffset + scalesAt;
        largest = scaleScores(
          scores + (<usize>k << 2), load<i32>(constants, 4), scales, min(TILE, count - k), largest);
      }
      const top = max4(largest);
      const scale = load<f32>(constants);
      const cut: f32 = cutoff > 0 ? rangeCutoff(cutoff, load<f32>(peaks + (<usize>row << 2)), top * scale) : 0;
      const sum = rowWeights(
        f32x4.splat(0),
        weights + <usize>r * (RANGE << 1),
        tileScales + (<usize>r << 5),
        scores,
        top,
        scale * 1.4426950408889634,
        values + tableAt,
        offset + scalesAt,
        count,
        cut,
        start == 0 && sinkOf(parameters) > 0 ? 0 : -1,
        at - start - TILE,
      );
      storeState(state4 + <usize>r * stateSize, headDim, top * scale, sum);
    }
    if (first == 0 && cutoff > 0)
      for (let k = 0; k < most; k += TILE)
        touchGroups(blockOf(values, start + k) + offset, neededGroups(weights + <usize>(k >> 2) * STEP, some), headDim);
    for (let k = 0; k < most; k += TILE) {
      const codes = blockOf(values, start + k) + offset;
      const groups = min(16, (most - k + 3) >> 2);
      all += groups;
      // Earlier rows may end before the tile.
      let from = 0;
      while (position + (first + from) / group < start + k) from++;
      multiplied += tileValues(work, state4, some, k >> 6, codes, groups, headDim, cutoff > 0, k == 0, from);
    }
    if (!fresh)
      for (let r = 0; r < some; r++)
        if (position + (first + r) / group >= start)
          mergeState(states + <usize>(first + r) * stateSize, part + <usize>r * stateSize, headDim);
  }
  addCounts(counters, multiplied, keysMultiplied, all);
}
