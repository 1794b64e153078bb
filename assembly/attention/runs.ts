import { attention_peaks_int8, attention_range_int8, newestPeak } from "./int8";
import { blockOf, hoisted, max4, opaqueZero, RANGE, SPAN, TILE } from "./layout";
import { merged_spans, mergedPart, paddedRuns } from "./merge";
import { cutoffOf, groupOf, headDimOf, keyPart, longQueries, sinkOf, valueBlocks, valuePart, windowStart } from "./parameters";
import { STEP } from "./product";
import { queryBytes } from "./queries";
import { farTiles, integerScores, tileScores } from "./scores";
import { exponentials, mergeState, rangeCutoff, rowWeights, scaleScores, stateBytes, storeState, tileCodes } from "./softmax";
import { addCounts, tileValues } from "./values";
import { CODES, NEAR, SUMS, TILE_SCALES, TILES } from "./work";

// Attention over merged spans, see merge.ts. The steps are those of `attention_range_int8` with runs for keys, so that
// spans in which every key is a run give the same bits.

/** QKᵀ of 1–4 query rows with the runs of a part: i32 [rows][512]. */
function runScores(out: usize, query: usize, some: i32, part: usize, parameters: usize, low: usize, most: i32): void {
  const headDim = headDimOf(parameters);
  const long = longQueries(parameters);
  const room = paddedRuns(part);
  const keys = part + 16 + (room << 3);
  const padded = min(<i32>room, most);
  // The low parts are multiplied tile by tile; everything else at once.
  const piece = long ? TILE : SPAN;
  for (let k = 0; k < padded; k += piece)
    tileScores(
      out + (<usize>k << 2), RANGE << 2, query, some, keys + <usize>(k * headDim), headDim, min(piece, padded - k) >> 2, long, low);
}

/** `attention_peaks_int8` where ranges are merged: the first 64 runs stand for the first tile of keys. */
export function attention_peaks_runs(
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
  const querySize = queryBytes(headDim);
  for (let row = 0; row < rows; row++, peaks += 4, queries += querySize) {
    const at = position + row / group;
    if (!merged_spans(parameters, at)) {
      attention_peaks_int8(peaks, queries, 1, at, work, parameters, index);
      continue;
    }
    const part = mergedPart(parameters, 0, index);
    runScores(work, queries, 1, part, parameters, work + NEAR, TILE);
    const constants = queries + (<usize>headDim << 1);
    const first = scaleScores(
      work, load<i32>(constants, 4), 0, min(TILE, <i32>load<u32>(part)), f32x4.splat(-Infinity));
    const largest = newestPeak(first, (at - TILE + 1) & ~(TILE - 1), queries, at, work, parameters, index);
    store<f32>(peaks, max4(largest) * load<f32>(constants));
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
  exponentials(scores, runs, most, scale);
  counts -= scores;
  valueScales -= scores;
  for (let tile = 0; tile < runs; tile += TILE, tileScales += 4) {
    const from = scores + (<usize>tile << 2);
    const end = from + <usize>((min(TILE, runs - tile) + 3) << 2 & ~15);
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
  queries: usize,
  peaks: usize,
  rows: i32,
  position: i32,
  work: usize,
  parameters: usize,
  index: i32,
  start: i32,
  spans: i32,
  fresh: i32,
  counters: usize,
): void {
  const headDim = headDimOf(parameters);
  const group = groupOf(parameters);
  const cutoff = cutoffOf(parameters);
  const stateSize = stateBytes(headDim);
  const querySize = queryBytes(headDim);
  const offset = valuePart(parameters, index);
  const keyOffset = keyPart(parameters, index);
  const own = work + SUMS + (<usize>headDim << 4);
  const sinkTile = start == 0 && sinkOf(parameters) > 0 ? 0 : -1;
  // Each span begins a tile, and so do the keys after them.
  const plainStart = start + spans * SPAN;
  let plainTile = 0;
  for (let span = 0; span < spans; span++)
    plainTile += <i32>((load<u32>(mergedPart(parameters, start + span * SPAN, index)) + TILE - 1) >> 6);
  const plainKeys = spans == 1 ? SPAN : 0;
  if (plainKeys) {
    const last = position + (rows - 1) / group;
    const end = min(start + RANGE, last + 1);
    farTiles(work + TILES, 0, parameters, index, plainStart, end, windowStart(parameters, last));
  }
  let multiplied: u64 = 0;
  let keysMultiplied: u64 = 0;
  let all: u64 = 0;
  for (let first = 0; first < rows; first += 4) {
    const some = min(4, rows - first);
    const query = queries + <usize>first * querySize;
    const state4 = fresh ? states + <usize>first * stateSize : own;
    const most = min(plainKeys, position + (first + some - 1) / group + 1 - plainStart);
    let tile = 0;
    for (let span = 0; span < spans; span++) {
      const part = mergedPart(parameters, start + span * SPAN, index);
      runScores(work + (<usize>tile << 8), query, some, part, parameters, work + NEAR, SPAN);
      keysMultiplied += paddedRuns(part) >> 2;
      tile += <i32>((load<u32>(part) + TILE - 1) >> 6);
    }
    if (plainKeys)
      keysMultiplied += integerScores(
        work + (<usize>tile << 8), parameters, keyOffset, query, position, first, some, plainStart, most, work + TILES, work + NEAR);
    for (let r = 0; r < some; r++) {
      const row = first + r;
      const at = position + row / group;
      const count = min(plainKeys, at + 1 - plainStart);
      const scores = work + <usize>r * (RANGE << 2);
      const weights = work + CODES + <usize>r * (RANGE << 1);
      const tileScales = work + TILE_SCALES + (<usize>r << 5);
      const constants = query + <usize>r * querySize + (<usize>headDim << 1);
      const correction = load<i32>(constants, 4);
      let largest = f32x4.splat(-Infinity);
      tile = 0;
      for (let span = 0; span < spans; span++) {
        const runs = <i32>load<u32>(mergedPart(parameters, start + span * SPAN, index));
        largest = scaleScores(scores + (<usize>tile << 8), correction, 0, runs, largest);
        tile += (runs + TILE - 1) >> 6;
      }
      if (plainKeys) {
        largest = scaleScores(scores + (<usize>tile << 8), correction, 0, count, largest);
        // Codes after the row's last tile are read together with those of later rows.
        const end = <usize>((plainTile << 4) + (((count + TILE - 1) & ~(TILE - 1)) >> 2)) * STEP;
        memory.fill(weights + end, 0, (RANGE << 1) - end);
      }
      const top = max4(largest);
      const scale = load<f32>(constants);
      const cut: f32 = cutoff > 0 ? rangeCutoff(cutoff, load<f32>(peaks + (<usize>row << 2)), top * scale) : 0;
      let sum = f32x4.splat(0);
      tile = 0;
      for (let span = 0; span < spans; span++) {
        const part = mergedPart(parameters, start + span * SPAN, index);
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
        tile += (runs + TILE - 1) >> 6;
      }
      if (plainKeys)
        sum = rowWeights(
          sum,
          weights + <usize>(tile << 4) * STEP,
          tileScales + (<usize>tile << 2),
          scores + (<usize>tile << 8),
          top,
          scale * 1.4426950408889634,
          valueBlocks(parameters) + (<usize>(plainStart >> 6) << 2),
          offset + (<usize>headDim << 6),
          count,
          cut,
          -1,
          at - plainStart - TILE,
        );
      storeState(state4 + <usize>r * stateSize, headDim, top * scale, sum);
    }
    tile = 0;
    for (let span = 0; span < spans; span++) {
      const part = mergedPart(parameters, start + span * SPAN, index);
      const runs = <i32>load<u32>(part);
      const room = paddedRuns(part);
      const values = part + 16 + (room << 3) + room * <usize>headDim;
      for (let k = 0; k < runs; k += TILE, tile++) {
        const groups = min(16, (runs - k + 3) >> 2);
        multiplied += tileValues(
          work, state4, some, tile, values + <usize>(k * headDim), groups, headDim, cutoff > 0, tile == 0, 0);
      }
    }
    all += spans * (SPAN >> 2);
    for (let k = 0; k < most; k += TILE, tile++) {
      const groups = min(16, (most - k + 3) >> 2);
      all += groups;
      // Earlier rows may end before the tile.
      let from = 0;
      while (position + (first + from) / group < plainStart + k) from++;
      const codes = blockOf(valueBlocks(parameters), plainStart + k) + offset;
      multiplied += tileValues(work, state4, some, tile, codes, groups, headDim, cutoff > 0, false, from);
    }
    if (!fresh)
      for (let r = 0; r < some; r++)
        mergeState(states + <usize>(first + r) * stateSize, own + <usize>r * stateSize, headDim);
  }
  addCounts(counters, multiplied, keysMultiplied, all);
}

/**
 * `attention_range_int8` where spans are merged: a query for which a whole span is far takes its runs, others its keys.
 * The choice depends on the query's position alone.
 */
export function attention_range_runs(
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
  const group = groupOf(parameters);
  const headDim = headDimOf(parameters);
  for (let row = 0; row < rows; ) {
    const at = position + row / group;
    const spans = spansOf(parameters, at, start);
    // Windows never move back: rows of equal number follow each other.
    let end = row + group;
    while (end < rows && spansOf(parameters, position + end / group, start) == spans) end += group;
    const state = states + <usize>row * stateBytes(headDim);
    const query = queries + <usize>row * queryBytes(headDim);
    const peak = peaks + (<usize>row << 2);
    if (spans)
      mixedRange(state, query, peak, end - row, at, work, parameters, index, start, spans, fresh, counters);
    else attention_range_int8(state, query, peak, end - row, at, work, parameters, index, start, fresh, counters);
    row = end;
  }
}

/** Spans of the range from `start` that a query takes merged. */
// @ts-ignore: decorator
@inline
function spansOf(parameters: usize, position: i32, start: i32): i32 {
  return max(0, min(RANGE / SPAN, merged_spans(parameters, position) - (start >> 8)));
}
