import { Cache, QueryRows } from "../abi";
import { keyPart, valuePart, windowStart } from "./cache";
import { newestPeak, peaksInt8, rangeInt8 } from "./int8";
import { hoisted, max4, opaqueZero, PAGE, pageOf, RANGE, SPAN } from "./layout";
import { merged_spans, mergedPart, paddedRuns } from "./merge";
import { STEP } from "./product";
import { positionOf, queryBytes } from "./queries";
import { farTiles, integerScores, tileScores } from "./scores";
import { exponentials, mergeState, rangeCutoff, rowWeights, scaleScores, stateBytes, storeState, tileCodes } from "./softmax";
import { addCounts, tileValues } from "./values";
import { CODES, NEAR, SUMS, TILE_SCALES, TILES } from "./work";

// Attention over merged spans, see merge.ts. The steps are those of `attention_range_int8` with runs for keys, so that
// spans in which every key is a run give the same bits.

/** QKᵀ of 1–4 query rows with the runs of a part: i32 [rows][512]. */
function runScores(out: usize, query: usize, some: i32, part: usize, cache: Cache, low: usize, most: i32): void {
  const headDim = cache.headDim;
  const long = (cache.longQueries != 0);
  const room = paddedRuns(part);
  const keys = part + 16 + (room << 3);
  const padded = min(<i32>room, most);
  // The low parts are multiplied tile by tile; everything else at once.
  const piece = long ? PAGE : SPAN;
  for (let k = 0; k < padded; k += piece)
    tileScores(
      out + (<usize>k << 2), RANGE << 2, query, some, keys + <usize>(k * headDim), headDim, min(piece, padded - k) >> 2, long, low);
}

/** `attention_peaks_int8` where ranges are merged: the first 64 runs stand for the first tile of keys. */
export function attention_peaks_runs(rows: QueryRows): void {
  const cache = rows.cache;
  const headDim = cache.headDim;
  const work = rows.work;
  for (let row = 0; row < rows.rows; row++) {
    const at = positionOf(rows, row);
    if (!merged_spans(cache, at)) {
      peaksInt8(rows, row, row + 1);
      continue;
    }
    const query = rows.queries + <usize>row * queryBytes(headDim);
    const part = mergedPart(cache, 0, rows.slot);
    runScores(work, query, 1, part, cache, work + NEAR, PAGE);
    const constants = query + (<usize>headDim << 1);
    const first = scaleScores(
      work, load<i32>(constants, 4), 0, min(PAGE, <i32>load<u32>(part)), f32x4.splat(-Infinity));
    const largest = newestPeak(first, (at - PAGE + 1) & ~(PAGE - 1), query, at, rows);
    store<f32>(rows.peaks + (<usize>row << 2), max4(largest) * load<f32>(constants));
  }
}

/**
 * `rowWeights` of runs: a run counts n times in the sum of the weights, and with n·scale in its tile. It is skipped where
 * n·p < `cut`, but not in the tile `sinkTile`.
 */
function runWeights(
  sum: v128,
  codes: usize,
  tileScales: usize,
  scores: usize,
  most: f32,
  scale: f32,
  counts: usize,
  valueScales: usize,
  runs: i32,
  cut: f32,
  sinkTile: i32,
): v128 {
  const magic = hoisted(f32x4.splat(12582912.0), opaqueZero());
  exponentials(scores, runs, most, scale, false);
  counts -= scores;
  valueScales -= scores;
  for (let tile = 0; tile < runs; tile += PAGE, tileScales += 4) {
    const from = scores + (<usize>tile << 2);
    const end = from + <usize>((min(PAGE, runs - tile) + 3) << 2 & ~15);
    if (cut > 0 && tile != sinkTile) {
      const lowest = f32x4.splat(cut);
      for (let at = from; at < end; at += 16) {
        const p = v128.load(at);
        v128.store(at, v128.and(p, f32x4.ge(f32x4.mul(p, v128.load(at + counts)), lowest)));
      }
    }
    // The runs that only fill up a group have n = 0.
    let largest = f32x4.splat(0);
    for (let at = from; at < end; at += 16) {
      const p = v128.load(at);
      sum = f32x4.add(sum, f32x4.mul(p, v128.load(at + counts)));
      const w = f32x4.mul(p, v128.load(at + valueScales));
      v128.store(at, w);
      largest = f32x4.pmax(largest, w);
    }
    const stop = from + ((end - from + 63) & ~63);
    for (let at = end; at < stop; at += 16) v128.store(at, f32x4.splat(0));
    codes = tileCodes(codes, tileScales, from, stop, largest, magic);
  }
  return sum;
}

/**
 * `attention_range_int8` for queries that take the first `spans` (1 or 2) spans of the range merged, and the rest key by
 * key.
 */
function mixedRange(
  states: usize,
  rows: QueryRows,
  begin: i32,
  end: i32,
  start: i32,
  spans: i32,
  fresh: bool,
): void {
  const cache = rows.cache;
  const slot = rows.slot;
  const work = rows.work;
  const headDim = cache.headDim;
  const cutoff = cache.valueCutoff;
  const stateSize = stateBytes(headDim);
  const querySize = queryBytes(headDim);
  const offset = valuePart(cache, slot);
  const keyOffset = keyPart(cache, slot);
  const own = work + SUMS + (<usize>headDim << 4);
  const sinkTile = start == 0 && cache.sink > 0 ? 0 : -1;
  // Each span begins a tile, and so do the keys after them.
  const plainStart = start + spans * SPAN;
  let plainTile = 0;
  for (let span = 0; span < spans; span++)
    plainTile += <i32>((load<u32>(mergedPart(cache, start + span * SPAN, slot)) + PAGE - 1) >> 6);
  const plainKeys = spans == 1 ? SPAN : 0;
  if (plainKeys) {
    const last = positionOf(rows, end - 1);
    farTiles(
      work + TILES, 0, cache, slot, plainStart, min(start + RANGE, last + 1), windowStart(cache, last));
  }
  let multiplied: u64 = 0;
  let keysMultiplied: u64 = 0;
  let all: u64 = 0;
  for (let first = begin; first < end; first += 4) {
    const some = min(4, end - first);
    const query = rows.queries + <usize>first * querySize;
    const state4 = fresh ? states + <usize>first * stateSize : own;
    const most = min(plainKeys, positionOf(rows, first + some - 1) + 1 - plainStart);
    let tile = 0;
    for (let span = 0; span < spans; span++) {
      const part = mergedPart(cache, start + span * SPAN, slot);
      runScores(work + (<usize>tile << 8), query, some, part, cache, work + NEAR, SPAN);
      keysMultiplied += paddedRuns(part) >> 2;
      tile += <i32>((load<u32>(part) + PAGE - 1) >> 6);
    }
    if (plainKeys)
      keysMultiplied += integerScores(
        work + (<usize>tile << 8), cache, keyOffset, query, rows.position, first, some, plainStart, most, work + TILES, work + NEAR);
    for (let r = 0; r < some; r++) {
      const row = first + r;
      const at = positionOf(rows, row);
      const count = min(plainKeys, at + 1 - plainStart);
      const scores = work + <usize>r * (RANGE << 2);
      const weights = work + CODES + <usize>r * (RANGE << 1);
      const tileScales = work + TILE_SCALES + (<usize>r << 5);
      const constants = query + <usize>r * querySize + (<usize>headDim << 1);
      const correction = load<i32>(constants, 4);
      let largest = f32x4.splat(-Infinity);
      tile = 0;
      for (let span = 0; span < spans; span++) {
        const runs = <i32>load<u32>(mergedPart(cache, start + span * SPAN, slot));
        largest = scaleScores(scores + (<usize>tile << 8), correction, 0, runs, largest);
        tile += (runs + PAGE - 1) >> 6;
      }
      if (plainKeys) {
        largest = scaleScores(scores + (<usize>tile << 8), correction, 0, count, largest);
        // Codes after the row's last tile are read together with those of later rows.
        const codesEnd = <usize>((plainTile << 4) + (((count + PAGE - 1) & ~(PAGE - 1)) >> 2)) * STEP;
        memory.fill(weights + codesEnd, 0, (RANGE << 1) - codesEnd);
      }
      const top = max4(largest);
      const scale = load<f32>(constants);
      const cut: f32 = cutoff > 0 ? rangeCutoff(cutoff, load<f32>(rows.peaks + (<usize>row << 2)), top * scale) : 0;
      let sum = f32x4.splat(0);
      tile = 0;
      for (let span = 0; span < spans; span++) {
        const part = mergedPart(cache, start + span * SPAN, slot);
        const runs = <i32>load<u32>(part);
        sum = runWeights(
          sum,
          weights + <usize>(tile << 4) * STEP,
          tileScales + (<usize>tile << 2),
          scores + (<usize>tile << 8),
          top,
          scale * 1.4426950408889634,
          part + 16,
          part + 16 + (paddedRuns(part) << 2),
          runs,
          cut,
          span ? -1 : sinkTile,
        );
        tile += (runs + PAGE - 1) >> 6;
      }
      if (plainKeys)
        sum = rowWeights(
          sum,
          weights + <usize>(tile << 4) * STEP,
          tileScales + (<usize>tile << 2),
          scores + (<usize>tile << 8),
          top,
          scale * 1.4426950408889634,
          cache.values + (<usize>(plainStart >> 6) << 2),
          offset + (<usize>headDim << 6),
          count,
          cut,
          -1,
          at - plainStart - PAGE,
          0,
        );
      storeState(state4 + <usize>r * stateSize, headDim, top * scale, sum);
    }
    tile = 0;
    for (let span = 0; span < spans; span++) {
      const part = mergedPart(cache, start + span * SPAN, slot);
      const runs = <i32>load<u32>(part);
      const room = paddedRuns(part);
      const values = part + 16 + (room << 3) + room * <usize>headDim;
      for (let k = 0; k < runs; k += PAGE, tile++) {
        const groups = min(16, (runs - k + 3) >> 2);
        multiplied += tileValues(
          work, state4, some, tile, values + <usize>(k * headDim), groups, headDim, cutoff > 0, tile == 0, 0);
      }
    }
    all += spans * (SPAN >> 2);
    for (let k = 0; k < most; k += PAGE, tile++) {
      const groups = min(16, (most - k + 3) >> 2);
      all += groups;
      // Earlier rows may end before the tile.
      let from = 0;
      while (positionOf(rows, first + from) < plainStart + k) from++;
      const codes = pageOf(cache.values, plainStart + k) + offset;
      multiplied += tileValues(work, state4, some, tile, codes, groups, headDim, cutoff > 0, false, from);
    }
    if (!fresh)
      for (let r = 0; r < some; r++)
        mergeState(states + <usize>(first + r) * stateSize, own + <usize>r * stateSize, headDim);
  }
  addCounts(rows.counters, multiplied, keysMultiplied * (headDim >> 2), all, headDim);
}

/**
 * `attention_range_int8` where spans are merged: a query for which a whole span is far takes its runs, others its keys.
 * The choice depends on the query's position alone.
 */
export function attention_range_runs(states: usize, rows: QueryRows, start: i32, fresh: i32): void {
  const group = rows.group;
  for (let row = 0; row < rows.rows; ) {
    const spans = spansOf(rows.cache, positionOf(rows, row), start);
    // Windows never move back: rows of equal number follow each other.
    let end = row + group;
    while (end < rows.rows && spansOf(rows.cache, positionOf(rows, end), start) == spans) end += group;
    if (spans) mixedRange(states, rows, row, end, start, spans, fresh != 0);
    else rangeInt8(states, rows, row, end, start, fresh != 0);
    row = end;
  }
}

/** Spans of the range from `start` that a query takes merged. */
// @ts-ignore: decorator
@inline
function spansOf(cache: Cache, position: i32, start: i32): i32 {
  return max(0, min(RANGE / SPAN, merged_spans(cache, position) - (start >> 8)));
}
