import { QueryRows } from "../abi";
import { keyPart, leadStride, restPart, restStride, valuePart, windowStart } from "./cache";
import { max4, PAGE, pageOf, RANGE, sum4, touchEight, touchListed, touchParts } from "./layout";
import { positionOf, queryBytes } from "./queries";
import { farTiles, integerScores } from "./scores";
import { leadProducts, listWanted } from "./select-leads";
import { completeListed } from "./select-scores";
import { pageValues } from "./select-values";
import { packWeights } from "./select-weights";
import { sharedRest } from "./thresholds";
import { below, clearState, exponentials, mergeState, rangeCutoff, stateBytes } from "./softmax";
import { addCounts, addSelection } from "./values";
import { ADDRESSES, GROUPS, LESS, LOWEST, MOST, NEAR, STARTS, SUMS, TILES, TOUCH_WHOLE, VALUES, WEIGHT_SUMS } from "./work";

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
  if (cache.far) {
    const unpacked = work + SUMS + (<usize>cache.headDim << 4) + 4 * stateBytes(cache.headDim);
    farTiles(codes, unpacked, cache, rows.slot, start, end, windowStart(cache, last));
  } else {
    const part = keyPart(cache, rows.slot);
    for (let k = 0; k < 8; k++)
      store<u32>(codes + (<usize>k << 2), <u32>(pageOf(cache.keys, start + (min(k, pages - 1) << 6)) + part));
    if (!whole) for (let i: usize = 0; i < <usize>cache.select << 6; i += 64) touchEight(codes, 4, i);
  }
  if (whole) {
    const values = cache.values + (<usize>(start >> 6) << 2);
    const keys = cache.keys + (<usize>(start >> 6) << 2);
    const part = valuePart(cache, rows.slot);
    const bytes = (<usize>cache.headDim << 6) + 256;
    if (cache.far) touchParts(values, values + (<usize>(pages >> 1) << 2), pages >> 1, part, bytes);
    else touchParts(keys, values, pages, part, bytes);
  }
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
    leadProducts(products, query, querySize, some, codes, less, lead, leadStride(cache), headDim);
    listed = listWanted(list, work + ADDRESSES, products, some, page << 4, codes + restPart(cache), restStride(cache), listed);
  }
  const wanted = listed - before;
  keySteps += (to - from) * (lead << 2) + wanted * ((headDim - lead) >> 2);
  const whole = load<i32>(work + TOUCH_WHOLE) != 0;
  if (!whole && !cache.far) touchListed(work + ADDRESSES + (<usize>before << 2), wanted, <usize>(headDim - lead) << 2);
  if (from < to) store<i32>(work + TOUCH_WHOLE, <i32>(wanted > (to - from) << 3));
  completeListed(work, list, query, querySize, some, work + ADDRESSES, headDim, lead, before, listed, work + MOST, work + LESS,
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
    const values = work + VALUES;
    const part = valuePart(cache, rows.slot);
    for (let page = 0; page < 8; page++)
      store<u32>(values + (<usize>page << 2), <u32>(pageOf(cache.values, start + (min(page, pages - 1) << 6)) + part));
    if (!whole) for (let i: usize = 0; i < 256; i += 64) touchEight(values, 4, (<usize>headDim << 6) + i);
    for (let r = 0; r < some; r++) rowExponentials(rows, first, r, most, listed, state + <usize>r * stateSize);
    const newest = at - start - PAGE;
    let from = 0;
    for (let page = 0; page < pages; page++) {
      const next = load<i32>(starts + (<usize>page << 2), 4);
      store<i32>(starts + (<usize>page << 2), multiplied);
      if (from < next) {
        const cuts = (page << 6) + 63 <= newest && !(start + page == 0 && cache.sink > 0);
        multiplied = packWeights(work, some, page, from, next, <usize>load<u32>(values + (<usize>page << 2)), headDim, cuts, multiplied);
      }
      from = next;
    }
    store<i32>(starts + (<usize>pages << 2), multiplied);
    for (let r = 0; r < some; r++) {
      const lanes = v128.load(work + WEIGHT_SUMS + (<usize>r << 4));
      store<f32>(state + <usize>r * stateSize + (<usize>headDim << 2), sum4(lanes), 4);
    }
    if (!whole) touchListed(work + ADDRESSES, multiplied, <usize>headDim << 2);
    for (let r = 0; r < some; r++) {
      const row = state + <usize>r * stateSize;
      for (let i = row; i < row + (<usize>headDim << 2); i += 16) v128.store(i, f32x4.splat(0));
    }
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

/**
 * Exponentials of row `first` + r over the listed groups; m of its state, and the least weight that is not cut in the pages
 * where any are.
 */
function rowExponentials(rows: QueryRows, first: i32, r: i32, most: i32, listed: i32, state: usize): void {
  const cache = rows.cache;
  const work = rows.work;
  const headDim = cache.headDim;
  const row = <usize>(first + r);
  const scale = load<f32>(rows.queries + row * queryBytes(headDim) + (<usize>headDim << 1));
  const top = max4(v128.load(work + MOST + (<usize>r << 4)));
  // Lanes after the last key have −∞ and get the weight 0, not that of the clamp.
  exponentials(work + <usize>r * (RANGE << 2), listed << 2, top, scale * 1.4426950408889634, (most & 3) != 0);
  const cutoff = cache.valueCutoff;
  const cut: f32 = cutoff > 0 ? rangeCutoff(cutoff, load<f32>(rows.peaks + (row << 2)), top * scale) : 0;
  store<f32>(work + LOWEST + (<usize>r << 2), cut);
  v128.store(work + WEIGHT_SUMS + (<usize>r << 4), f32x4.splat(0));
  store<f32>(state + (<usize>headDim << 2), top * scale);
}
