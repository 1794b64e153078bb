import { expF32 } from "../ops/exp";
import { attention_peaks_int8, attention_range_int8, neededGroups, newestPeak } from "./int8";
import { hoisted, max4, opaqueZero, RANGE, TILE } from "./layout";
import { merged_ranges, mergedPart, paddedRuns } from "./merge";
import { cutoffOf, groupOf, headDimOf, longQueries, sinkOf } from "./parameters";
import { STEP, storeSteps, valueProduct, valueProductSome } from "./product";
import { queryBytes } from "./queries";
import { tileScores } from "./scores";
import { mergeState, scaleScores, stateBytes, storeState } from "./softmax";

// Attention over merged ranges, see merge.ts. The steps are those of `attention_range_int8` with runs for keys, so that a
// range in which every key is a run gives the same bits.

// The work area: scores [4][512] (i32 or f32), codes of weights [4][512] (u16 at most), tile scales [4][8], scores with the
// low parts of queries [4][64], list of value groups, sums i32 [4][headDim], states [4].
const CODES: usize = 4 * 512 * 4;
const TILE_SCALES: usize = CODES + 4 * 512 * 2;
const LOW: usize = TILE_SCALES + 128;
const LIST: usize = LOW + 1024;
const SUMS: usize = LIST + 64;

/** QKᵀ of 1–4 query rows with the runs of a part: i32 [rows][512]. */
function runScores(out: usize, query: usize, some: i32, part: usize, parameters: usize, low: usize, most: i32): void {
  const headDim = headDimOf(parameters);
  const long = longQueries(parameters);
  const room = paddedRuns(part);
  const keys = part + 16 + (room << 3);
  const padded = min(<i32>room, most);
  // The low parts are multiplied tile by tile; everything else at once.
  const piece = long ? TILE : RANGE;
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
    if (!merged_ranges(parameters, at)) {
      attention_peaks_int8(peaks, queries, 1, at, work, parameters, index);
      continue;
    }
    const part = mergedPart(parameters, 0, index);
    runScores(work, queries, 1, part, parameters, work + LOW, TILE);
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
  const zero = opaqueZero();
  const least = hoisted(f32x4.splat(-80.0), zero);
  const magic = hoisted(f32x4.splat(12582912.0), zero);
  const c6 = hoisted(f32x4.splat(1.535336188319500e-4), zero);
  const c5 = hoisted(f32x4.splat(1.339887440266574e-3), zero);
  const c4 = hoisted(f32x4.splat(9.618437357674640e-3), zero);
  const c3 = hoisted(f32x4.splat(5.550332471162809e-2), zero);
  const c2 = hoisted(f32x4.splat(2.402264791363012e-1), zero);
  const c1 = hoisted(f32x4.splat(6.931472028550421e-1), zero);
  const one = hoisted(f32x4.splat(1.0), zero);
  const shift = f32x4.splat(most);
  const factor = f32x4.splat(scale);
  let sum = f32x4.splat(0);
  for (let tile = 0; tile < runs; tile += TILE, tileScales += 4) {
    const lowest = f32x4.splat(tile == sinkTile ? 0 : cut);
    let largest = f32x4.splat(0);
    let at = scores + (<usize>tile << 2);
    const end = at + (<usize>min(TILE, runs - tile) << 2);
    for (; at < end; at += 16, counts += 16, valueScales += 16) {
      const x = f32x4.pmax(least, f32x4.mul(f32x4.sub(v128.load(at), shift), factor));
      const bits = f32x4.add(x, magic);
      const r = f32x4.sub(x, f32x4.sub(bits, magic));
      let p = f32x4.add(f32x4.mul(c6, r), c5);
      p = f32x4.add(f32x4.mul(p, r), c4);
      p = f32x4.add(f32x4.mul(p, r), c3);
      p = f32x4.add(f32x4.mul(p, r), c2);
      p = f32x4.add(f32x4.mul(p, r), c1);
      p = f32x4.add(f32x4.mul(p, r), one);
      p = i32x4.add(p, i32x4.shl(bits, 23));
      // The runs that only fill up a group have n = 0.
      const all = f32x4.mul(p, v128.load(counts));
      const kept = f32x4.ge(all, lowest);
      sum = f32x4.add(sum, v128.and(all, kept));
      const w = f32x4.mul(v128.and(p, kept), v128.load(valueScales));
      v128.store(at, w);
      largest = f32x4.pmax(largest, w);
    }
    const stop = scores + ((at + 63 - scores) & ~63);
    for (; at < stop; at += 16) v128.store(at, f32x4.splat(0));
    const top = max4(largest);
    store<f32>(tileScales, top / 127.0);
    const inverse = f32x4.splat(top > 1e-36 ? 127.0 / top : 0);
    for (let from = scores + (<usize>tile << 2); from < at; from += 64) {
      const a = f32x4.add(f32x4.mul(v128.load(from), inverse), magic);
      const b = f32x4.add(f32x4.mul(v128.load(from, 16), inverse), magic);
      const c = f32x4.add(f32x4.mul(v128.load(from, 32), inverse), magic);
      const d = f32x4.add(f32x4.mul(v128.load(from, 48), inverse), magic);
      codes = storeSteps(
        codes,
        i16x8.narrow_i32x4_s(i32x4.sub(a, magic), i32x4.sub(b, magic)),
        i16x8.narrow_i32x4_s(i32x4.sub(c, magic), i32x4.sub(d, magic)),
      );
    }
  }
  return sum;
}

/** `attention_range_int8` over a merged range; every row takes the whole of it. */
function rangeOfRuns(
  states: usize,
  queries: usize,
  peaks: usize,
  rows: i32,
  work: usize,
  parameters: usize,
  index: i32,
  start: i32,
  fresh: i32,
  counters: usize,
): void {
  const headDim = headDimOf(parameters);
  const cutoff = cutoffOf(parameters);
  const weights = work + CODES;
  const tileScales = work + TILE_SCALES;
  const sums = work + SUMS;
  const bytes = <usize>headDim << 2;
  const states4 = sums + (bytes << 2);
  const stateSize = stateBytes(headDim);
  const querySize = queryBytes(headDim);
  const part = mergedPart(parameters, start, index);
  const runs = <i32>load<u32>(part);
  const room = paddedRuns(part);
  const counts = part + 16;
  const valueScales = counts + (room << 2);
  const values = valueScales + (room << 2) + room * <usize>headDim;
  const sinkTile = start == 0 && sinkOf(parameters) > 0 ? 0 : -1;
  let multiplied: u64 = 0;
  let batches: u64 = 0;
  for (let first = 0; first < rows; first += 4, batches++) {
    const some = min(4, rows - first);
    const query = queries + <usize>first * querySize;
    const state4 = fresh ? states + <usize>first * stateSize : states4;
    runScores(work, query, some, part, parameters, work + LOW, RANGE);
    for (let r = 0; r < some; r++) {
      const scores = work + <usize>r * (RANGE << 2);
      const constants = query + <usize>r * querySize + (<usize>headDim << 1);
      const top = max4(scaleScores(scores, load<i32>(constants, 4), 0, runs, f32x4.splat(-Infinity)));
      const scale = load<f32>(constants);
      let cut: f32 = 0;
      if (cutoff > 0) {
        const above = load<f32>(peaks + (<usize>(first + r) << 2)) - top * scale;
        cut = cutoff * (above > 0 ? expF32(above) : 1);
      }
      const sum = runWeights(
        weights + <usize>r * (RANGE << 1),
        tileScales + (<usize>r << 5),
        scores,
        top,
        scale * 1.4426950408889634,
        counts,
        valueScales,
        runs,
        cut,
        sinkTile,
      );
      storeState(state4 + <usize>r * stateSize, headDim, top * scale, sum);
    }
    for (let k = 0; k < runs; k += TILE) {
      const codes = values + <usize>(k * headDim);
      const groups = min(16, (runs - k + 3) >> 2);
      const from = weights + <usize>(k >> 2) * STEP;
      if (cutoff > 0) {
        const needed = neededGroups(work + LIST, from, some, groups);
        multiplied += needed;
        valueProductSome(sums, bytes, from, RANGE << 1, some, codes, headDim, needed, work + LIST);
      } else {
        multiplied += groups;
        valueProduct(sums, bytes, from, RANGE << 1, some, codes, headDim, groups);
      }
      for (let r = 0; r < some; r++) {
        const state = state4 + <usize>r * stateSize;
        const scale = f32x4.splat(load<f32>(tileScales + (<usize>r << 5) + (<usize>(k >> 6) << 2)));
        const add = sums + <usize>r * bytes;
        for (let i: usize = 0; i < bytes; i += 16) {
          const x = f32x4.mul(f32x4.convert_i32x4_s(v128.load(add + i)), scale);
          v128.store(state + i, k ? f32x4.add(v128.load(state + i), x) : x);
        }
      }
    }
    if (!fresh)
      for (let r = 0; r < some; r++)
        mergeState(states + <usize>(first + r) * stateSize, states4 + <usize>r * stateSize, headDim);
  }
  const all = batches * (RANGE >> 2);
  store<u64>(counters, load<u64>(counters) + multiplied);
  store<u64>(counters, load<u64>(counters, 8) + all, 8);
  store<u64>(counters, load<u64>(counters, 16) + batches * (room >> 2), 16);
  store<u64>(counters, load<u64>(counters, 24) + all, 24);
}

/**
 * `attention_range_int8` where ranges are merged: a query for which the whole range is far takes its runs, others its
 * keys. The choice depends on the query's position alone.
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
  const range = start >> 9;
  // Windows never move back.
  let row = 0;
  while (row < rows && merged_ranges(parameters, position + row / group) <= range) row += group;
  if (row > 0)
    attention_range_int8(states, queries, peaks, row, position, work, parameters, index, start, fresh, counters);
  if (row < rows)
    rangeOfRuns(
      states + <usize>row * stateBytes(headDim),
      queries + <usize>row * queryBytes(headDim),
      peaks + (<usize>row << 2),
      rows - row,
      work,
      parameters,
      index,
      start,
      fresh,
      counters,
    );
}
