import { QueryRows } from "../abi";
import { keyPart, valuePart, windowStart } from "./cache";
import { positionOf } from "./int8";
import { hoisted, max4, opaqueZero, PAGE, pageOf, RANGE, touch, touchParts } from "./layout";
import { completeGroups, leadProduct, STEP, storeStep } from "./product";
import { queryBytes } from "./queries";
import { farTiles, integerScores } from "./scores";
import { below, clearState, exponentials, mergeState, rangeCutoff, stateBytes, storeState } from "./softmax";
import { addCounts, addSelection, neededGroups, tileValues, touchGroups } from "./values";
import { CODES, GROUPS, MASKS, NEAR, STARTS, SUMS, TILE_SCALES, TILES, UNIONS } from "./work";

// Selective scoring. In the score basis the leading elements carry most of a score: of far keys they are multiplied first,
// and only groups of 4 keys that can matter to a row get the rest. A row wants a group if the product of one of its keys
// with the leading elements reaches the row's threshold, which follows from the row's own query, its largest logit over the
// first and the newest keys, and constants. So no other row, range, thread or step decides.
//
// The groups any of up to four rows wants are listed: their scores and weights follow each other without gaps.

/**
 * Thresholds of query rows, i32 [rows]: a group is wanted where Σ over the leading elements of q·code reaches it.
 * At `selection`, f32: margin τ in logits, how many standard deviations are added, 2 unused, mean codes of the other
 * elements [r], covariance of their codes [r][r]. All sums in the order of the elements, four lanes apart.
 */
export function attention_thresholds(rows: QueryRows): void {
  const headDim = rows.cache.headDim;
  const lead = rows.cache.select;
  const rest = <usize>(headDim - lead) << 2;
  const selection = rows.selection;
  const means = selection + 16;
  const covariance = means + rest;
  const query = rows.work;
  for (let row = 0; row < rows.rows; row++) {
    const codes = rows.queries + <usize>row * queryBytes(headDim);
    const constants = codes + (<usize>headDim << 1);
    const scale = load<f32>(constants);
    const out = rows.thresholds + (<usize>row << 2);
    if (!(scale > 0)) {
      store<i32>(out, i32.MIN_VALUE);
      continue;
    }
    for (let i: usize = 0; i < rest; i += 4) {
      const at = <usize>lead + (i >> 2);
      store<f32>(query + i, <f32>(ASC_FEATURE_RELAXED_SIMD ? <i32>load<i8>(codes + at) : <i32>load<i16>(codes + (at << 1))));
    }
    let mean = f32x4.splat(0);
    let variance = f32x4.splat(0);
    for (let j: usize = 0; j < rest; j += 16) {
      let sum = f32x4.splat(0);
      let column = covariance + j;
      for (let i: usize = 0; i < rest; i += 4, column += rest)
        sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(query + i), v128.load(column)));
      const q = v128.load(query + j);
      variance = f32x4.add(variance, f32x4.mul(q, sum));
      mean = f32x4.add(mean, f32x4.mul(q, v128.load(means + j)));
    }
    const deviation = sqrt<f32>(max<f32>(0, sumLanes(variance)));
    const logits = (load<f32>(rows.peaks + (<usize>row << 2)) - load<f32>(selection)) / scale;
    const least = logits - load<f32>(selection, 4) * deviation + <f32>load<i32>(constants, 4) - sumLanes(mean);
    store<i32>(out, i32x4.extract_lane(i32x4.trunc_sat_f32x4_s(f32x4.splat(ceil<f32>(least))), 0));
  }
}

// @ts-ignore: decorator
@inline
function sumLanes(x: v128): f32 {
  return (
    f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 2) + (f32x4.extract_lane(x, 1) + f32x4.extract_lane(x, 3))
  );
}

/** `rangeInt8` with selective scoring; full caches on a grid of the score basis, and element and chunk grain. */
export function rangeSelected(states: usize, rows: QueryRows, begin: i32, end: i32, start: i32, fresh: bool): void {
  const cache = rows.cache;
  const headDim = cache.headDim;
  const work = rows.work;
  const part = work + SUMS + (<usize>headDim << 4);
  const stateSize = stateBytes(headDim);
  const querySize = queryBytes(headDim);
  const offset = valuePart(cache, rows.slot);
  const scalesAt = offset + (<usize>headDim << 6);
  const tableAt = <usize>(start >> 6) << 2;
  const values = cache.values + tableAt;
  if (cache.far) {
    const last = positionOf(rows, end - 1);
    farTiles(
      work + TILES, part + 4 * stateSize, cache, rows.slot, start, min(start + RANGE, last + 1), windowStart(cache, last));
  }
  let multiplied: u64 = 0;
  let keySteps: u64 = 0;
  let all: u64 = 0;
  let exponents: u64 = 0;
  let wanted: u64 = 0;
  let offered: u64 = 0;
  for (let first = begin; first < end; first += 4) {
    const some = min(4, end - first);
    const most = min(RANGE, positionOf(rows, first + some - 1) + 1 - start);
    if (most <= 0) continue;
    const query = rows.queries + <usize>first * querySize;
    const state4 = fresh ? states + <usize>first * stateSize : part;
    if (first == begin) {
      if (!cache.far) touchLeads(rows, start, most);
      touchParts(values, values, (most + PAGE - 1) >> 6, scalesAt, 256);
    }
    let leads = 0;
    for (let k = 0; k < most; k += PAGE) leads += leadScores(rows, first, some, start, k, min(PAGE, most - k));
    if (first == begin && !cache.far) touchRest(rows, start, most);
    keySteps += leads * (cache.select >> 2);
    let listed = 0;
    for (let k = 0; k < most; k += PAGE) {
      store<i32>(work + STARTS + (<usize>(k >> 6) << 2), listed);
      const groups = min(16, (most - k + 3) >> 2);
      all += groups;
      keySteps += finishScores(rows, first, some, start, k, min(PAGE, most - k), listed);
      for (let r = 0; r < some; r++) {
        const mask = load<u16>(work + MASKS + (<usize>r << 4) + (<usize>(k >> 6) << 1));
        const counted = min(groups, max(0, (positionOf(rows, first + r) + 4 - start - k) >> 2));
        offered += counted;
        wanted += popcnt<i32>(<i32>mask & ((1 << counted) - 1));
      }
      for (let rest = unionOf(work, k) & ((1 << groups) - 1); rest; rest &= rest - 1, listed++)
        store<u8>(work + GROUPS + <usize>listed, <u8>ctz(rest));
    }
    store<i32>(work + STARTS + (<usize>((most + PAGE - 1) >> 6) << 2), listed);
    exponents += <u64>(listed * some);
    for (let r = 0; r < some; r++) selectedWeights(rows, first, r, start, most, state4 + <usize>r * stateSize);
    if (first == begin)
      for (let k = 0; k < most; k += PAGE)
        touchGroups(pageOf(values, k) + offset, neededGroups(work + CODES + <usize>(k >> 2) * STEP, some), headDim);
    for (let k = 0; k < most; k += PAGE) {
      const groups = min(16, (most - k + 3) >> 2);
      // Earlier rows may end before the tile.
      let from = 0;
      while (positionOf(rows, first + from) < start + k) from++;
      multiplied += tileValues(work, state4, some, k >> 6, pageOf(values, k) + offset, groups, headDim, true, k == 0, from);
    }
    if (!fresh)
      for (let r = 0; r < some; r++)
        if (positionOf(rows, first + r) >= start)
          mergeState(states + <usize>(first + r) * stateSize, part + <usize>r * stateSize, headDim);
  }
  addCounts(rows.counters, multiplied, keySteps, all, headDim);
  addSelection(rows.counters, exponents, wanted, offered);
}


/** Touches the leading elements of the keys `start` … `start` + `count` − 1, four pages at a time. */
function touchLeads(rows: QueryRows, start: i32, count: i32): void {
  const cache = rows.cache;
  const group = <usize>cache.headDim << 2;
  const lead = <usize>cache.select << 2;
  const part = keyPart(cache, rows.slot);
  for (let k = start; k < start + count; k += PAGE << 2) {
    const last = start + count - 1;
    const a = pageOf(cache.keys, k) + part;
    const b = pageOf(cache.keys, min(k + PAGE, last)) + part;
    const c = pageOf(cache.keys, min(k + 2 * PAGE, last)) + part;
    const d = pageOf(cache.keys, min(k + 3 * PAGE, last)) + part;
    for (let at: usize = 0; at < group << 4; at += group) touch(a + at, b + at, c + at, d + at, lead);
  }
}

/** The groups of the page `k` keys after the start of the range that any row wants; bit 16: every key is scored whole. */
// @ts-ignore: decorator
@inline
function unionOf(work: usize, k: i32): i32 {
  return load<i32>(work + UNIONS + (<usize>(k >> 6) << 2));
}

/**
 * Products of up to four rows with the leading elements of the page `k` keys after `start`, of which `count` keys are there,
 * where the scores go. Writes which groups each row wants, and which any wants. Returns the groups multiplied.
 */
function leadScores(rows: QueryRows, first: i32, some: i32, start: i32, k: i32, count: i32): i32 {
  const cache = rows.cache;
  const work = rows.work;
  const tile = start + k;
  const querySize = queryBytes(cache.headDim);
  const masks = work + MASKS + (<usize>(k >> 6) << 1);
  const all = (1 << ((count + 3) >> 2)) - 1;
  let selecting = 0;
  for (let r = 0; r < some; r++) {
    const at = positionOf(rows, first + r);
    const selects = tile > 0 && tile + 2 * PAGE - 1 <= at && (cache.far == 0 || tile + PAGE <= windowStart(cache, at));
    selecting |= selects ? 1 << r : 0;
    store<u16>(masks + (<usize>r << 4), <u16>0xffff);
  }
  let union = all | 0x10000;
  if (selecting) {
    const out = work + (<usize>k << 2);
    leadProduct(out, rows.queries + <usize>first * querySize, querySize, some, pageCodes(rows, start, k), cache.headDim, cache.select);
    let wanted = 0;
    for (let r = 0; r < some; r++) {
      if (!(selecting & (1 << r))) {
        wanted = 0x10000 | all;
        continue;
      }
      const least = i32x4.splat(load<i32>(rows.thresholds + (<usize>(first + r) << 2)));
      const mask = wantedGroups(out + (<usize>r << 11), least);
      store<u16>(masks + (<usize>r << 4), <u16>mask);
      wanted |= mask;
    }
    union = wanted;
  }
  store<i32>(work + UNIONS + (<usize>(k >> 6) << 2), union);
  return selecting ? 16 : 0;
}

/** Address of the keys of a page that are far for some row. */
// @ts-ignore: decorator
@inline
function pageCodes(rows: QueryRows, start: i32, k: i32): usize {
  const cache = rows.cache;
  return cache.far
    ? <usize>load<u32>(rows.work + TILES + (<usize>(k >> 6) << 2))
    : pageOf(cache.keys, start + k) + keyPart(cache, rows.slot);
}

/** Touches the rest of the groups that are wanted. */
function touchRest(rows: QueryRows, start: i32, most: i32): void {
  const size = <usize>rows.cache.headDim << 2;
  const lead = <usize>rows.cache.select << 2;
  for (let k = 0; k < most; k += PAGE) {
    const codes = pageCodes(rows, start, k);
    for (let rest = unionOf(rows.work, k) & 0xffff; rest; rest &= rest - 1) {
      const group = codes + <usize>ctz(rest) * size;
      for (let at = lead; at < size; at += 64) load<u8>(group + at);
    }
  }
}

/** Completes the scores of the wanted groups, after the first `listed` of each row. Returns the steps multiplied. */
function finishScores(rows: QueryRows, first: i32, some: i32, start: i32, k: i32, count: i32, listed: i32): i32 {
  const cache = rows.cache;
  const headDim = cache.headDim;
  const work = rows.work;
  const querySize = queryBytes(headDim);
  const query = rows.queries + <usize>first * querySize;
  const out = work + (<usize>listed << 4);
  const union = unionOf(work, k);
  if (union & 0x10000) {
    const tiles = work + TILES + (<usize>(k >> 6) << 2);
    integerScores(out, cache, keyPart(cache, rows.slot), query, rows.position, first, some, start + k, count, tiles, work + NEAR);
    return ((count + 3) >> 2) * (headDim >> 2);
  }
  completeGroups(out, query, querySize, some, pageCodes(rows, start, k), work + (<usize>k << 2), headDim, cache.select, union);
  return <i32>popcnt(union) * ((headDim - cache.select) >> 2);
}

/** The groups of a page in which a product reaches `least`. */
// @ts-ignore: decorator
@inline
function wantedGroups(products: usize, least: v128): i32 {
  let mask = 0;
  for (let g = 0; g < 16; g++)
    mask |= <i32>v128.any_true(i32x4.ge_s(v128.load(products + (<usize>g << 4)), least)) << g;
  return mask;
}

/** Softmax of row `first` + r over the listed groups it wants: 7-bit codes of the weights at their keys, and m and l of its state. */
function selectedWeights(rows: QueryRows, first: i32, r: i32, start: i32, most: i32, state: usize): void {
  const cache = rows.cache;
  const headDim = cache.headDim;
  const work = rows.work;
  const row = first + r;
  const at = positionOf(rows, row);
  const count = min(RANGE, at + 1 - start);
  const codes = work + CODES + <usize>r * (RANGE << 1);
  const tileScales = work + TILE_SCALES + (<usize>r << 5);
  memory.fill(codes, 0, RANGE << 1);
  memory.fill(tileScales, 0, 32);
  if (count <= 0) return;
  const scores = work + <usize>r * (RANGE << 2);
  const list = work + GROUPS;
  const masks = work + MASKS + (<usize>r << 4);
  const constants = rows.queries + <usize>row * queryBytes(headDim) + (<usize>headDim << 1);
  const less = i32x4.splat(load<i32>(constants, 4));
  const least = f32x4.splat(-Infinity);
  // The row's last key is within its last page.
  const lastGroup = (count - 1) >> 2;
  const inside = below(0, ((count - 1) & 3) + 1);
  let largest = least;
  for (let k = 0; k < most; k += PAGE) {
    const mask = <i32>load<u16>(masks + (<usize>(k >> 6) << 1));
    const begin = load<i32>(work + STARTS + (<usize>(k >> 6) << 2));
    const end = load<i32>(work + STARTS + (<usize>(k >> 6) << 2), 4);
    const edge = k + PAGE > count;
    for (let c = begin; c < end; c++) {
      const g = <i32>load<u8>(list + <usize>c);
      const place = scores + (<usize>c << 4);
      const wanted = i32x4.splat(-((mask >> g) & 1));
      let x = v128.bitselect(f32x4.convert_i32x4_s(i32x4.sub(v128.load(place), less)), least, wanted);
      if (edge) {
        const group = (k >> 2) + g;
        if (group > lastGroup) x = least;
        else if (group == lastGroup) x = v128.bitselect(x, least, inside);
      }
      v128.store(place, x);
      largest = f32x4.pmax(largest, x);
    }
  }
  const top = max4(largest);
  if (!(top > -Infinity)) {
    clearState(state, headDim);
    return;
  }
  const scale = load<f32>(constants);
  const listed = load<i32>(work + STARTS + (<usize>((most + PAGE - 1) >> 6) << 2));
  // What is not wanted has −∞ and gets the weight 0, not that of the clamp.
  exponentials(scores, listed << 2, top, scale * 1.4426950408889634, true);
  const cutoff = cache.valueCutoff;
  const cut = f32x4.splat(
    cutoff > 0 ? rangeCutoff(cutoff, load<f32>(rows.peaks + (<usize>row << 2)), top * scale) : 0);
  const magic = hoisted(f32x4.splat(12582912.0), opaqueZero());
  const newest = at - start - PAGE;
  const scalesAt = valuePart(cache, rows.slot) + (<usize>headDim << 6);
  let sum = f32x4.splat(0);
  for (let k = 0; k < most; k += PAGE) {
    const begin = load<i32>(work + STARTS + (<usize>(k >> 6) << 2));
    const end = load<i32>(work + STARTS + (<usize>(k >> 6) << 2), 4);
    if (begin == end) continue;
    const scales = pageOf(cache.values, start + k) + scalesAt;
    const lowest = cutoff > 0 && !(start + k == 0 && cache.sink > 0) && k + 63 <= newest ? cut : f32x4.splat(0);
    let heaviest = f32x4.splat(0);
    for (let c = begin; c < end; c++) {
      const place = scores + (<usize>c << 4);
      let p = v128.load(place);
      p = v128.and(p, f32x4.ge(p, lowest));
      sum = f32x4.add(sum, p);
      const w = f32x4.mul(p, v128.load(scales + (<usize>load<u8>(list + <usize>c) << 4)));
      v128.store(place, w);
      heaviest = f32x4.pmax(heaviest, w);
    }
    const weight = max4(heaviest);
    if (weight == 0) continue;
    store<f32>(tileScales + (<usize>(k >> 6) << 2), weight / 127.0);
    const inverse = f32x4.splat(weight > 1e-36 ? 127.0 / weight : 0);
    const pageCodes = codes + <usize>(k >> 2) * STEP;
    for (let c = begin; c < end; c++) {
      const x = f32x4.add(f32x4.mul(v128.load(scores + (<usize>c << 4)), inverse), magic);
      storeStep(pageCodes + <usize>load<u8>(list + <usize>c) * STEP, i32x4.sub(x, magic));
    }
  }
  storeState(state, headDim, top * scale, sum);
}
