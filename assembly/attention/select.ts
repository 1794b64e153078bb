import { QueryRows } from "../abi";
import { keyPart, valuePart, windowStart } from "./cache";
import { positionOf } from "./int8";
import { max4, PAGE, pageOf, RANGE, touch, touchParts } from "./layout";
import { queryBytes } from "./queries";
import { farTiles, integerScores } from "./scores";
import { completeListed, groupBytes, leadProducts, listWanted, restPart } from "./select-scores";
import { packWeights, pageValues, pageWeights, touchValues } from "./select-weights";
import { sharedLead, sharedRest } from "./thresholds";
import { below, clearState, exponentials, mergeState, rangeCutoff, stateBytes, storeState } from "./softmax";
import { addCounts, addSelection } from "./values";
import { GROUPS, LESS, MOST, NEAR, STARTS, SUMS, TILES, TOUCH_WHOLE } from "./work";

// Selective scoring. In the score basis the leading elements carry most of a score: of far keys they are multiplied first,
// and only groups of 4 keys that can matter get the rest. The query heads of a token that are computed together, up to four
// that share the KV head, decide together: a group is wanted if the product of one of its keys with the leading elements of
// one of the queries reaches the query's threshold, which follows from the query, its largest logit over the first and
// the newest keys, and constants. So no other token, range, thread or step decides.
//
// Wanted groups are listed, and their scores and weights follow each other without gaps.

/** `rangeInt8` with selective scoring; full caches on a grid of the score basis, and element and chunk grain. */
export function rangeSelected(states: usize, rows: QueryRows, start: i32, fresh: bool): void {
  const cache = rows.cache;
  const work = rows.work;
  const last = positionOf(rows, rows.rows - 1);
  const end = min(start + RANGE, last + 1);
  const codes = work + TILES;
  // Lines of memory that follow each other are read more than twice as fast as others: where most of the range before was
  // wanted, all of this one is touched. Nothing but time depends on it.
  const whole = load<i32>(work + TOUCH_WHOLE) != 0;
  const pages = (end - start + PAGE - 1) >> 6;
  const values = cache.values + (<usize>(start >> 6) << 2);
  const bytes = (<usize>cache.headDim << 6) + 256;
  if (cache.far) {
    const unfolded = work + SUMS + (<usize>cache.headDim << 4) + 4 * stateBytes(cache.headDim);
    farTiles(codes, unfolded, cache, rows.slot, start, end, windowStart(cache, last));
  } else {
    const part = keyPart(cache, rows.slot);
    for (let k = start; k < end; k += PAGE) store<u32>(codes + (<usize>((k - start) >> 6) << 2), <u32>(pageOf(cache.keys, k) + part));
    if (whole) touchParts(cache.keys + (<usize>(start >> 6) << 2), values, pages, part, bytes);
    else touchLeads(rows, end - start);
  }
  if (whole && cache.far)
    touchParts(values, values + (<usize>(pages >> 1) << 2), pages >> 1, valuePart(cache, rows.slot), bytes);
  const heads = cache.group;
  const tiles = (heads + 3) >> 2;
  const size = (heads + tiles - 1) / tiles;
  for (let token = 0; token < rows.rows; token += heads) {
    const most = min(RANGE, positionOf(rows, token) + 1 - start);
    if (most <= 0) continue;
    for (let head = 0; head < heads; head += size)
      tileSelected(states, rows, token + head, min(size, heads - head), start, most, fresh);
  }
}

/** The rows from `first` on, up to four query heads of one token, over the first `most` keys of the range. */
function tileSelected(states: usize, rows: QueryRows, first: i32, some: i32, start: i32, most: i32, fresh: bool): void {
  const cache = rows.cache;
  const work = rows.work;
  const headDim = cache.headDim;
  const lead = cache.select;
  const at = positionOf(rows, first);
  const querySize = queryBytes(headDim);
  const query = rows.queries + <usize>first * querySize;
  const stateSize = stateBytes(headDim);
  const own = states + <usize>first * stateSize;
  const state = fresh ? own : work + SUMS + (<usize>headDim << 4);
  const list = work + GROUPS;
  const starts = work + STARTS;
  const pages = (most + PAGE - 1) >> 6;
  // Pages [from, to) are chosen from: not the first of all, nor those with the newest keys, nor with keys in a window.
  const limit = cache.far ? min(at + 1 - 2 * PAGE, windowStart(cache, at) - PAGE) : at + 1 - 2 * PAGE;
  const from = start == 0 ? 1 : 0;
  const to = max(from, min(pages, limit < start ? 0 : ((limit - start) >> 6) + 1));
  for (let r = 0; r < some; r++) v128.store(work + MOST + (<usize>r << 4), f32x4.splat(-Infinity));
  let listed = 0;
  let keySteps = 0;
  for (let page = 0; page < from; page++) {
    keySteps += wholePage(rows, first, some, start, page << 6, min(PAGE, most - (page << 6)), listed);
    store<i32>(starts + (<usize>page << 2), listed);
    listed += (min(PAGE, most - (page << 6)) + 3) >> 2;
  }
  const before = listed;
  const less = rows.thresholds + (<usize>first << 2);
  for (let r: usize = 0; r < <usize>some; r++) {
    const correction = load<i32>(query + r * querySize + (<usize>headDim << 1), 4);
    store<i32>(work + LESS + (r << 2), load<i32>(less + (r << 2)) + correction);
  }
  for (let page = from; page < to; page++) {
    store<i32>(starts + (<usize>page << 2), listed);
    const codes = <usize>load<u32>(work + TILES + (<usize>page << 2));
    const products = work + (<usize>page << 8);
    for (let r = 0; r < some; r++)
      leadProducts(
        products + <usize>r * (RANGE << 2), query + <usize>r * querySize, codes, headDim, lead, load<i32>(less + (<usize>r << 2)),
        sharedLead(query + <usize>r * querySize, headDim));
    listed = listWanted(list, products, some, page << 4, listed);
  }
  const wanted = listed - before;
  keySteps += (to - from) * (lead << 2) + wanted * ((headDim - lead) >> 2);
  const whole = load<i32>(work + TOUCH_WHOLE) != 0;
  if (!whole) touchListed(rows, start, before, listed);
  if (from < to) store<i32>(work + TOUCH_WHOLE, <i32>(wanted > (to - from) << 3));
  completeListed(work, list, query, querySize, some, work + TILES, headDim, lead, before, listed, work + MOST, work + LESS,
    sharedRest(query, querySize, some, headDim));
  for (let page = to; page < pages; page++) {
    const count = min(PAGE, most - (page << 6));
    keySteps += wholePage(rows, first, some, start, page << 6, count, listed);
    store<i32>(starts + (<usize>page << 2), listed);
    listed += (count + 3) >> 2;
  }
  store<i32>(starts + (<usize>pages << 2), listed);
  const groups = (most + 3) >> 2;
  let multiplied = 0;
  if (listed == 0) for (let r = 0; r < some; r++) clearState(state + <usize>r * stateSize, headDim);
  else {
    for (let r = 0; r < some; r++) rowWeights(rows, first, r, start, most, listed, state + <usize>r * stateSize);
    const values = valuePart(cache, rows.slot);
    let from = 0;
    for (let page = 0; page < pages; page++) {
      const next = load<i32>(starts + (<usize>page << 2), 4);
      store<i32>(starts + (<usize>page << 2), multiplied);
      if (from < next) multiplied = packWeights(work, some, page, from, next, pageOf(cache.values, start + (page << 6)) + values, headDim, multiplied);
      from = next;
    }
    store<i32>(starts + (<usize>pages << 2), multiplied);
    if (!whole) touchValues(work, multiplied, headDim);
    for (let r = 0; r < some; r++) memory.fill(state + <usize>r * stateSize, 0, <usize>headDim << 2);
    for (let page = 0; page < pages; page++) {
      const begin = load<i32>(starts + (<usize>page << 2));
      const end = load<i32>(starts + (<usize>page << 2), 4);
      if (begin < end) pageValues(state, work, some, page, begin, end, headDim);
    }
    if (!fresh) for (let r = 0; r < some; r++) mergeState(own + <usize>r * stateSize, state + <usize>r * stateSize, headDim);
  }
  addCounts(rows.counters, multiplied, keySteps, groups, headDim);
  addSelection(rows.counters, listed * some, listed, groups);
}

/** Scores of a page all of whose keys are taken, at the places from `listed` on. Returns the steps multiplied. */
function wholePage(rows: QueryRows, first: i32, some: i32, start: i32, k: i32, count: i32, listed: i32): i32 {
  const cache = rows.cache;
  const work = rows.work;
  const headDim = cache.headDim;
  const querySize = queryBytes(headDim);
  const query = rows.queries + <usize>first * querySize;
  const out = work + (<usize>listed << 4);
  const tiles = work + TILES + (<usize>(k >> 6) << 2);
  const steps = integerScores(out, cache, keyPart(cache, rows.slot), query, positionOf(rows, first), 0, some, start + k, count, tiles, work + NEAR);
  const groups = (count + 3) >> 2;
  const end = (<usize>groups << 4) - 16;
  for (let r = 0; r < some; r++) {
    const less = i32x4.splat(load<i32>(query + <usize>r * querySize + (<usize>headDim << 1), 4));
    const scores = out + <usize>r * (RANGE << 2);
    let most = v128.load(work + MOST + (<usize>r << 4));
    for (let i: usize = 0; i <= end; i += 16) {
      let x = f32x4.convert_i32x4_s(i32x4.sub(v128.load(scores + i), less));
      if (i == end && count & 3) x = v128.bitselect(x, f32x4.splat(-Infinity), below(0, count & 3));
      v128.store(scores + i, x);
      most = f32x4.pmax(most, x);
    }
    v128.store(work + MOST + (<usize>r << 4), most);
  }
  for (let g = 0; g < groups; g++) store<u8>(work + GROUPS + <usize>(listed + g), <u8>((k >> 2) + g));
  return steps * (headDim >> 2);
}

/** Softmax of row `first` + r over the listed groups: codes of the weights, m and l of its state. */
function rowWeights(rows: QueryRows, first: i32, r: i32, start: i32, most: i32, listed: i32, state: usize): void {
  const cache = rows.cache;
  const work = rows.work;
  const headDim = cache.headDim;
  const row = <usize>(first + r);
  const at = positionOf(rows, first + r);
  const scale = load<f32>(rows.queries + row * queryBytes(headDim) + (<usize>headDim << 1));
  const top = max4(v128.load(work + MOST + (<usize>r << 4)));
  // Lanes after the last key have −∞ and get the weight 0, not that of the clamp.
  exponentials(work + <usize>r * (RANGE << 2), listed << 2, top, scale * 1.4426950408889634, (most & 3) != 0);
  const cutoff = cache.valueCutoff;
  const cut: f32 = cutoff > 0 ? rangeCutoff(cutoff, load<f32>(rows.peaks + (row << 2)), top * scale) : 0;
  const newest = at - start - PAGE;
  const part = valuePart(cache, rows.slot) + (<usize>headDim << 6);
  let sum = f32x4.splat(0);
  let from = 0;
  for (let k = 0; k < most; k += PAGE) {
    const to = load<i32>(work + STARTS + (<usize>(k >> 6) << 2), 4);
    if (from == to) continue;
    const lowest = cutoff > 0 && !(start + k == 0 && cache.sink > 0) && k + 63 <= newest ? cut : 0;
    sum = pageWeights(work, r, k >> 6, from, to, pageOf(cache.values, start + k) + part, f32x4.splat(lowest), sum);
    from = to;
  }
  storeState(state, headDim, top * scale, sum);
}

/** Touches the leading elements of the first `count` keys of the range, four pages at a time. */
function touchLeads(rows: QueryRows, count: i32): void {
  const tiles = rows.work + TILES;
  const headDim = rows.cache.headDim;
  const lead = rows.cache.select;
  const step = groupBytes(headDim);
  const bytes = <usize>lead << 2;
  const pages = (count + PAGE - 1) >> 6;
  for (let page = 0; page < pages; page += 4) {
    const a = load<u32>(tiles + (<usize>page << 2));
    const b = load<u32>(tiles + (<usize>min(page + 1, pages - 1) << 2));
    const c = load<u32>(tiles + (<usize>min(page + 2, pages - 1) << 2));
    const d = load<u32>(tiles + (<usize>min(page + 3, pages - 1) << 2));
    for (let at: usize = 0; at < step << 4; at += step) touch(<usize>a + at, <usize>b + at, <usize>c + at, <usize>d + at, bytes);
  }
}

/** Touches the other elements of listed groups, and the scales of their values: of four parts of the list at a time. */
function touchListed(rows: QueryRows, start: i32, from: i32, to: i32): void {
  const cache = rows.cache;
  const headDim = cache.headDim;
  const list = rows.work + GROUPS;
  const values = cache.values + (<usize>(start >> 6) << 2);
  const scales = valuePart(cache, rows.slot) + (<usize>headDim << 6);
  const bytes = cache.far ? 0 : <usize>(headDim - cache.select) << 2;
  const quarter = (to - from + 3) >> 2;
  for (let c = from; c < from + quarter; c++) {
    const a = <usize>load<u8>(list + <usize>c);
    const b = <usize>load<u8>(list + <usize>min(c + quarter, to - 1));
    const d = <usize>load<u8>(list + <usize>min(c + 2 * quarter, to - 1));
    const e = <usize>load<u8>(list + <usize>min(c + 3 * quarter, to - 1));
    touch(restOf(rows, a), restOf(rows, b), restOf(rows, d), restOf(rows, e), bytes);
    touch(scalesOf(values, scales, a), scalesOf(values, scales, b), scalesOf(values, scales, d), scalesOf(values, scales, e), 16);
  }
}

/** Where a group has the elements after the leading ones. */
// @ts-ignore: decorator
@inline
function restOf(rows: QueryRows, group: usize): usize {
  const cache = rows.cache;
  const page = <usize>load<u32>(rows.work + TILES + (group >> 4 << 2));
  return page + (group & 15) * groupBytes(cache.headDim) + restPart(cache.select);
}

// @ts-ignore: decorator
@inline
function scalesOf(values: usize, scales: usize, group: usize): usize {
  return <usize>load<u32>(values + (group >> 4 << 2)) + scales + ((group & 15) << 4);
}
