import { Cache } from "../abi";
import { windowStart } from "./cache";
import { gatherKey, scatterKey } from "./delta-store";
import { pageOf, SPAN, PAGE } from "./layout";
import { farPart } from "./scores";
import { absMax } from "./store";

// Row grain: a span that is far for every coming query is kept as its runs, keys in a row whose references are equal. All
// keys of a run have the same score, so a run counts as one key with the mean of its values and n times the weight.
//
// A merged part, one layer and KV head of a span; `m` runs, rounded up to M, a multiple of 8, by runs that count nothing:
//   u32 m, 12 unused
//   f32 n [M]                keys of the run
//   f32 n·scale [M]          scale of the run's mean value
//   u8  keys [M / 4][headDim / 4][4 runs][4 elements]
//   i8  values [M / 4][headDim / 4][4 elements][4 runs]
// A merged span: u32 offsets of the parts [layers · kvHeads], then the parts.

/** Address of a merged part; `start` is the first key of its span, `slot` layer · kvHeads + KV head. */
// @ts-ignore: decorator
@inline
export function mergedPart(cache: Cache, start: i32, slot: i32): usize {
  const base = <usize>load<u32>(cache.merged + (<usize>(start >> 8) << 2));
  return base + <usize>load<u32>(base + (<usize>slot << 2));
}

/** Runs of a part rounded up to whole pairs of groups of 4. */
// @ts-ignore: decorator
@inline
export function paddedRuns(part: usize): usize {
  return (<usize>load<u32>(part) + 7) & ~7;
}

/** Whole spans that a query at `position` takes merged: before its window, and without its newest 64 keys. */
export function merged_spans(cache: Cache, position: i32): i32 {
  return position < SPAN + PAGE - 1 ? 0 : min(windowStart(cache, position), position - (PAGE - 1)) >> 8;
}

/** Bit k of u64 b: key 64·b + k begins a run. Returns how many do. `work`: 2·headDim bytes. */
function runStarts(starts: usize, cache: Cache, slot: i32, start: i32, merge: bool, work: usize): i32 {
  const headDim = cache.headDim;
  const size = <usize>headDim;
  let now = work;
  let before = work + size;
  let runs = 0;
  for (let k = 0; k < SPAN; k += PAGE, starts += 8) {
    const far = farPart(cache, start + k, slot);
    let bits: u64 = 0;
    if (far & 1) {
      // Packed keys differ from the one before, but the page's first is kept in any case.
      bits = load<u64>(far - 1);
      gatherKey(now, far + 15, 0, headDim);
      if (k > 0 && memory.compare(now, before, size) == 0) bits &= ~1;
      gatherKey(before, far + 15, <i32>popcnt(load<u64>(far - 1)) - 1, headDim);
    } else {
      for (let key = 0; key < PAGE; key++) {
        gatherKey(now, far, key, headDim);
        if (k + key == 0 || memory.compare(now, before, size) != 0) bits |= (<u64>1) << key;
        const swap = now;
        now = before;
        before = swap;
      }
    }
    if (!merge) bits = ~(<u64>0);
    store<u64>(starts, bits);
    runs += <i32>popcnt(bits);
  }
  return runs;
}

/** Four codes of one key, i32 lanes, from a tile of values. */
// @ts-ignore: decorator
@inline
function fourValues(at: usize, place: i32): v128 {
  return i32x4.shr_s(i32x4.shl(v128.load(at), 24 - ((place & 3) << 3)), 24);
}

/** sum = value, or sum += value: f32 [headDim]. */
function addValue(sum: usize, tile: usize, place: i32, headDim: i32, fresh: bool): void {
  const scale = f32x4.splat(load<f32>(tile + (<usize>headDim << 6) + (<usize>place << 2)));
  const end = sum + (<usize>headDim << 2);
  let at = tile + <usize>(place >> 2) * (<usize>headDim << 2);
  for (; sum < end; sum += 16, at += 16) {
    const x = f32x4.mul(f32x4.convert_i32x4_s(fourValues(at, place)), scale);
    v128.store(sum, fresh ? x : f32x4.add(v128.load(sum), x));
  }
}

/** Writes four codes of one run. */
// @ts-ignore: decorator
@inline
function storeValues(to: usize, code: v128): void {
  store<u8>(to, <u8>i32x4.extract_lane(code, 0));
  store<u8>(to, <u8>i32x4.extract_lane(code, 1), 4);
  store<u8>(to, <u8>i32x4.extract_lane(code, 2), 8);
  store<u8>(to, <u8>i32x4.extract_lane(code, 3), 12);
}

/**
 * Merges a span, whose keys and values are stored, into its part; there must be room for 256 runs. A run of one key
 * keeps the codes of its value. The value of a longer one is the mean, f32 sums in the order of the keys, rounded to 8
 * bits (half to even) with a scale of its own: wrong by half a step at most.
 * @param merge 0: every key is a run
 * @param work 6·headDim + 64 bytes
 */
export function cache_merge_span(cache: Cache, slot: i32, span: i32, merge: i32, work: usize): void {
  const headDim = cache.headDim;
  const size = <usize>headDim;
  const row = size << 2;
  const start = span << 8;
  const part = mergedPart(cache, start, slot);
  const sum = work;
  const codes = sum + row;
  const starts = codes + size + size;
  const runs = runStarts(starts, cache, slot, start, merge != 0, codes);
  store<u32>(part, runs);
  const room = paddedRuns(part);
  const counts = part + 16;
  const scales = counts + (room << 2);
  const keys = scales + (room << 2);
  const values = keys + room * size;
  const last = room - 8;
  memory.fill(counts + (last << 2), 0, 32);
  memory.fill(scales + (last << 2), 0, 32);
  memory.fill(keys + last * size, 0, size << 3);
  memory.fill(values + last * size, 0, size << 3);
  const valueOffset = (<usize>slot * (size + 4)) << 6;
  let run = -1;
  let count = 0;
  for (let k = 0; k < SPAN; k++) {
    const place = k & (PAGE - 1);
    const far = farPart(cache, start + k, slot);
    const tile = pageOf(cache.values, start + k) + valueOffset;
    const bits = load<u64>(starts + (<usize>(k >> 6) << 3));
    const begins = (bits >> place) & 1;
    if (begins) {
      run++;
      count = 0;
      if (far & 1) {
        const kept = <i32>popcnt(load<u64>(far - 1) << (63 - place)) - 1;
        gatherKey(codes, far + 15, kept, headDim);
      } else gatherKey(codes, far, place, headDim);
      scatterKey(keys, run, codes, headDim);
    }
    addValue(sum, tile, place, headDim, begins != 0);
    count++;
    const next = k + 1;
    if (next < SPAN && !((load<u64>(starts + (<usize>(next >> 6) << 3)) >> (next & (PAGE - 1))) & 1)) continue;
    const n = <f32>count;
    let to = values + <usize>(run >> 2) * row + <usize>(run & 3);
    let scale: f32;
    if (count == 1) {
      scale = load<f32>(tile + (size << 6) + (<usize>place << 2));
      const from = tile + <usize>(place >> 2) * row;
      for (let i: usize = 0; i < row; i += 16, to += 16) storeValues(to, fourValues(from + i, place));
    } else {
      for (let i: usize = 0; i < row; i += 16) v128.store(sum + i, f32x4.div(v128.load(sum + i), f32x4.splat(n)));
      const most = absMax(sum, row);
      const inverse = f32x4.splat(most > 0 ? 127.0 / most : 0);
      scale = most / 127.0;
      for (let i: usize = 0; i < row; i += 16, to += 16)
        storeValues(to, i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(sum + i), inverse))));
    }
    store<f32>(counts + (<usize>run << 2), n);
    store<f32>(scales + (<usize>run << 2), n * scale);
  }
}
