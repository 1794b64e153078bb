import { QueryRows } from "../abi";
import { keyPart, valuePart, windowStart } from "./cache";
import { max4, PAGE, pageOf, RANGE, touch, touchParts } from "./layout";
import { STEP } from "./product";
import { positionOf, queryBytes } from "./queries";
import { farTiles, integerScores } from "./scores";
import { rangeSelected } from "./select";
import { clearState, mergeState, rangeCutoff, rowWeights, scaleRange, scaleScores, stateBytes, storeState } from "./softmax";
import { addCounts, neededGroups, tileValues, touchGroups } from "./values";
import { CODES, NEAR, SUMS, TILE_SCALES, TILES } from "./work";

/** `largest`, and the scores of one query at `at` with the whole keys among those from `tile` on (0 or its newest tile). */
export function newestPeak(largest: v128, tile: i32, query: usize, at: i32, rows: QueryRows): v128 {
  const cache = rows.cache;
  const work = rows.work;
  const headDim = cache.headDim;
  const keyOffset = keyPart(cache, rows.slot);
  const unpacked = work + SUMS + (<usize>headDim << 4) + 4 * stateBytes(headDim);
  const newest = max(0, at - PAGE + 1) & ~(PAGE - 1);
  for (; tile <= at; tile = tile < newest ? newest : tile + PAGE) {
    const count = min(PAGE, at + 1 - tile);
    if (cache.far)
      farTiles(work + TILES, unpacked, cache, rows.slot, tile, tile + count, windowStart(cache, at));
    integerScores(work, cache, keyOffset, query, at, 0, 1, tile, count, work + TILES, work + NEAR);
    const scales = cache.far ? 0 : pageOf(cache.keys, tile) + keyOffset + (<usize>headDim << 6);
    largest = scaleScores(work, load<i32>(query + (<usize>headDim << 1), 4), scales, count, largest);
  }
  return largest;
}

/**
 * For value skipping: the largest score (times its scale) of each query row with the first tile of keys and with the whole
 * keys among its newest 64, into `peaks`.
 */
export function attention_peaks_int8(rows: QueryRows): void {
  peaksInt8(rows, 0, rows.rows);
}

/** The same of the rows `from` … `to` − 1. Rows of one position are multiplied together, four at most. */
export function peaksInt8(rows: QueryRows, from: i32, to: i32): void {
  const cache = rows.cache;
  const work = rows.work;
  const headDim = cache.headDim;
  const keyOffset = keyPart(cache, rows.slot);
  const unpacked = work + SUMS + (<usize>headDim << 4) + 4 * stateBytes(headDim);
  const querySize = queryBytes(headDim);
  if (!cache.far && from == 0) {
    // A token of decode has them from memory.
    const first = pageOf(cache.keys, 0) + keyOffset;
    const newest = pageOf(cache.keys, max(0, positionOf(rows, 0) - PAGE + 1)) + keyOffset;
    const half = (<usize>headDim << 5) + 128;
    touch(first, first + half, newest, newest + half, half);
  }
  for (let row = from; row < to; ) {
    const at = positionOf(rows, row);
    let some = 1;
    while (some < 4 && row + some < to && positionOf(rows, row + some) == at) some++;
    const query = rows.queries + <usize>row * querySize;
    const peaks = rows.peaks + (<usize>row << 2);
    const newest = max(0, at - PAGE + 1) & ~(PAGE - 1);
    for (let tile = 0; tile <= at; tile = tile < newest ? newest : tile + PAGE) {
      const count = min(PAGE, at + 1 - tile);
      if (cache.far)
        farTiles(work + TILES, unpacked, cache, rows.slot, tile, tile + count, windowStart(cache, at));
      // `group` rows share a position, and these do.
      integerScores(work, cache, keyOffset, query, at, 0, some, tile, count, work + TILES, work + NEAR);
      const scales = cache.far ? 0 : pageOf(cache.keys, tile) + keyOffset + (<usize>headDim << 6);
      for (let r = 0; r < some; r++) {
        const constants = query + <usize>r * querySize + (<usize>headDim << 1);
        const before = tile == 0 ? f32x4.splat(-Infinity) : f32x4.splat(load<f32>(peaks + (<usize>r << 2)));
        const largest = scaleScores(work + <usize>r * (RANGE << 2), load<i32>(constants, 4), scales, count, before);
        store<f32>(peaks + (<usize>r << 2), max4(largest));
      }
    }
    for (let r = 0; r < some; r++) {
      const scale = load<f32>(query + <usize>r * querySize + (<usize>headDim << 1));
      store<f32>(peaks + (<usize>r << 2), load<f32>(peaks + (<usize>r << 2)) * scale);
    }
    row += some;
  }
}

/**
 * Attention of query rows over the keys `start` … `start` + 511 up to each row's own position, int8 cache. A row's result
 * does not depend on the other rows. With `fresh` the states are set, otherwise the range is merged into them.
 * @param states f32 [rows][headDim + 4]
 */
export function attention_range_int8(states: usize, rows: QueryRows, start: i32, fresh: i32): void {
  rangeInt8(states, rows, 0, rows.rows, start, fresh != 0);
}

/** The same of the rows `begin` … `end` − 1; `states` are those of all rows. */
export function rangeInt8(states: usize, rows: QueryRows, begin: i32, end: i32, start: i32, fresh: bool): void {
  const cache = rows.cache;
  if (cache.select && rows.window == 0) {
    rangeSelected(states, rows, start, fresh);
    return;
  }
  const headDim = cache.headDim;
  const work = rows.work;
  const cutoff = cache.valueCutoff;
  const weights = work + CODES;
  const tileScales = work + TILE_SCALES;
  const part = work + SUMS + (<usize>headDim << 4);
  const stateSize = stateBytes(headDim);
  const querySize = queryBytes(headDim);
  const scalesAt = <usize>headDim << 6;
  const offset = valuePart(cache, rows.slot);
  const keyOffset = keyPart(cache, rows.slot);
  const delta = cache.far != 0;
  const tableAt = <usize>(start >> 6) << 2;
  const keys = cache.keys + tableAt;
  const values = cache.values + tableAt;
  if (delta) {
    const last = positionOf(rows, end - 1);
    farTiles(
      work + TILES, part + 4 * stateSize, cache, rows.slot, start, min(start + RANGE, last + 1), windowStart(cache, last));
  }
  let multiplied: u64 = 0;
  let keysMultiplied: u64 = 0;
  let all: u64 = 0;
  for (let first = begin; first < end; first += 4) {
    const some = min(4, end - first);
    const most = min(RANGE, positionOf(rows, first + some - 1) + 1 - start);
    if (most <= 0) continue;
    // Pages before the windows of all these rows.
    const skipped = firstKey(rows, positionOf(rows, first), start) & ~(PAGE - 1);
    if (skipped >= most) {
      if (fresh) for (let r = 0; r < some; r++) clearState(states + <usize>(first + r) * stateSize, headDim);
      continue;
    }
    const query = rows.queries + <usize>first * querySize;
    const state4 = fresh ? states + <usize>first * stateSize : part;
    if (first == begin) {
      // Of what is read whole: packed keys and values that may be skipped are not.
      const pages = (most - skipped + PAGE - 1) >> 6;
      const size = scalesAt + 256;
      const seen = <usize>(skipped >> 6) << 2;
      if (!delta && cutoff == 0) touchParts(keys + seen, values + seen, pages, offset, size);
      else if (!delta || cutoff == 0) {
        const table = (delta ? values : keys) + seen;
        touchParts(table, table + (<usize>(pages >> 1) << 2), pages >> 1, offset, size);
      }
      if (cutoff > 0) touchParts(values + seen, values + seen, pages, offset + scalesAt, 256);
    }
    const skippedBytes = <usize>skipped << 2;
    keysMultiplied += integerScores(
      work + skippedBytes, cache, keyOffset, query, rows.position, first, some, start + skipped, most - skipped,
      work + TILES + (skippedBytes >> 6), work + NEAR);
    for (let r = 0; r < some; r++) {
      const row = first + r;
      const at = positionOf(rows, row);
      const count = max(0, min(RANGE, at + 1 - start));
      const from = firstKey(rows, at, start);
      // Codes after the row's last tile are read together with those of later rows.
      const codesEnd = <usize>(((count + PAGE - 1) & ~(PAGE - 1)) >> 2) * STEP;
      memory.fill(weights + <usize>r * (RANGE << 1) + codesEnd, 0, (RANGE << 1) - codesEnd);
      if (count == 0) continue;
      if (from >= count) {
        memory.fill(weights + <usize>r * (RANGE << 1), 0, codesEnd);
        memory.fill(tileScales + (<usize>r << 5), 0, 32);
        clearState(state4 + <usize>r * stateSize, headDim);
        continue;
      }
      const scores = work + <usize>r * (RANGE << 2);
      const constants = query + <usize>r * querySize + (<usize>headDim << 1);
      const top = scaleRange(scores, load<i32>(constants, 4), keys, delta ? 0 : keyOffset + scalesAt, from, count);
      const scale = load<f32>(constants);
      const cut: f32 = cutoff > 0 && rows.window == 0 ? rangeCutoff(cutoff, load<f32>(rows.peaks + (<usize>row << 2)), top * scale) : 0;
      const sum = rowWeights(
        f32x4.splat(0),
        weights + <usize>r * (RANGE << 1),
        tileScales + (<usize>r << 5),
        scores,
        top,
        scale * 1.4426950408889634,
        values,
        offset + scalesAt,
        count,
        cut,
        start == 0 && cache.sink > 0 ? 0 : -1,
        at - start - PAGE,
        from,
      );
      storeState(state4 + <usize>r * stateSize, headDim, top * scale, sum);
    }
    if (first == begin && cutoff > 0)
      for (let k = skipped; k < most; k += PAGE)
        touchGroups(pageOf(values, k) + offset, neededGroups(weights + <usize>(k >> 2) * STEP, some), headDim);
    for (let k = skipped; k < most; k += PAGE) {
      const codes = pageOf(values, k) + offset;
      const groups = min(16, (most - k + 3) >> 2);
      all += groups;
      // Earlier rows may end before the tile.
      let from = 0;
      while (positionOf(rows, first + from) < start + k) from++;
      multiplied += tileValues(work, state4, some, k >> 6, codes, groups, headDim, cutoff > 0, k == skipped, from);
    }
    if (!fresh)
      for (let r = 0; r < some; r++)
        if (positionOf(rows, first + r) >= start)
          mergeState(states + <usize>(first + r) * stateSize, part + <usize>r * stateSize, headDim);
  }
  addCounts(rows.counters, multiplied, keysMultiplied * (headDim >> 2), all, headDim);
}

/** Index, in the range from `start`, of the first key a query at `position` sees. */
// @ts-ignore: decorator
@inline
function firstKey(rows: QueryRows, position: i32, start: i32): i32 {
  return rows.window > 0 ? max(0, position + 1 - rows.window - start) : 0;
}
