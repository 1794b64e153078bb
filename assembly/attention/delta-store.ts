import { Cache, NewKeys } from "../abi";
import { keyPart, restPart, windowStart } from "./cache";
import { countLanes, gridCodes, longer, mapRow, squaredDifference } from "./grid";
import { pageOf, PAGE } from "./layout";

export const ELEMENT: i32 = 0;
export const CHUNK: i32 = 1;
export const ROW: i32 = 2;

/** Reads one key's codes, [headDim], out of a tile. */
export function gatherKey(out: usize, tile: usize, place: i32, headDim: i32): void {
  let from = tile + <usize>(place >> 2) * (<usize>headDim << 2) + (<usize>(place & 3) << 2);
  for (let i: usize = 0; i < <usize>headDim; i += 4, from += 16) store<u32>(out + i, load<u32>(from));
}

/** Writes one key's codes into a tile. */
export function scatterKey(tile: usize, place: i32, codes: usize, headDim: i32): void {
  let to = tile + <usize>(place >> 2) * (<usize>headDim << 2) + (<usize>(place & 3) << 2);
  for (let i: usize = 0; i < <usize>headDim; i += 4, to += 16) store<u32>(to, load<u32>(codes + i));
}

/**
 * Stores keys on a fixed grid: code = 64 + round(map(k)), clamped to 1..127. Part of a page as in `cache_store_keys_int8`,
 * every scale 1; with selective scoring the leading elements of all keys, then the others, each as there.
 */
export function cache_store_keys_grid(added: NewKeys): void {
  const cache = added.cache;
  const headDim = cache.headDim;
  const work = added.work;
  const codes = work + (<usize>headDim << 2);
  const offset = keyPart(cache, added.slot);
  let position = added.position;
  let keys = added.keys;
  for (let token = 0; token < added.tokens; token++, position++, keys += added.stride) {
    mapRow(work, keys, added.map, added.matrix, <usize>headDim << 2);
    for (let i: usize = 0; i < <usize>headDim; i += 16) v128.store(codes + i, gridCodes(work + (i << 2)));
    const part = pageOf(cache.keys, position) + offset;
    const place = position & (PAGE - 1);
    if (cache.select) {
      scatterKey(part, place, codes, cache.select);
      scatterKey(part + restPart(cache), place, codes + <usize>cache.select, headDim - cache.select);
    } else scatterKey(part, place, codes, headDim);
    store<f32>(part + (<usize>headDim << 6) + (<usize>place << 2), 1);
  }
}

/**
 * One step of delta attention: where a code differs from the reference by more than the threshold the reference takes it,
 * elsewhere it stays. Returns how many elements were taken.
 * Grain 0: elements, code difference > limits[i]; 1: 16 neighbours, Σ difference²·squares[i] > limit (f32); 2: the whole
 * key, likewise.
 */
function followKey(
  reference: usize,
  codes: usize,
  whole: bool,
  added: NewKeys,
): i32 {
  const headDim = added.cache.headDim;
  const grain = added.cache.grain;
  const squares = added.squares;
  const size = <usize>headDim;
  if (whole) {
    memory.copy(reference, codes, size);
    return headDim;
  }
  let kept = 0;
  let length = f32x4.splat(0);
  for (let i: usize = 0; i < size; i += 16) {
    const code = v128.load(codes + i);
    const old = v128.load(reference + i);
    if (grain == ELEMENT) {
      const moved = i8x16.gt_u(i8x16.abs(i8x16.sub(code, old)), v128.load(added.limits + i));
      v128.store(reference + i, v128.bitselect(code, old, moved));
      kept += countLanes(moved);
    } else if (grain == CHUNK) {
      if (longer(squaredDifference(f32x4.splat(0), code, old, squares + (i << 2)), added.limit)) {
        v128.store(reference + i, code);
        kept += 16;
      }
    } else length = squaredDifference(length, code, old, squares + (i << 2));
  }
  if (grain == ROW && longer(length, added.limit)) {
    memory.copy(reference, codes, size);
    kept = headDim;
  }
  return kept;
}

/**
 * Stores keys as `cache_store_keys_grid` does, and follows them with the reference of delta attention from that of the last
 * key (of which it counts what changes, and leaves that of the newest as the next). Keys before `sink` are taken whole.
 * Must run for one KV head in the order of positions.
 */
export function cache_store_keys_delta(added: NewKeys): void {
  const cache = added.cache;
  const headDim = cache.headDim;
  const size = <usize>headDim;
  const offset = keyPart(cache, added.slot);
  const work = added.work;
  const codes = work + (size << 2);
  const reference = cache.nextReferences + <usize>added.slot * size;
  memory.copy(reference, cache.lastReferences + <usize>added.slot * size, size);
  let kept: u64 = 0;
  let position = added.position;
  let keys = added.keys;
  for (let token = 0; token < added.tokens; token++, position++, keys += added.stride) {
    mapRow(work, keys, added.map, added.matrix, size << 2);
    for (let i: usize = 0; i < size; i += 16) v128.store(codes + i, gridCodes(work + (i << 2)));
    kept += followKey(reference, codes, position < cache.sink || position == 0, added);
    scatterKey(pageOf(cache.keys, position) + offset, position & (PAGE - 1), codes, headDim);
  }
  const seen = <u64>added.tokens * size;
  const counters = added.counters;
  store<u64>(counters, load<u64>(counters) + seen - kept);
  store<u64>(counters, load<u64>(counters, 8) + seen, 8);
}

/** Walks the keys `from` … `to` − 1 from the reference of the key before; `keep`: into the far tiles. */
function follow(reference: usize, added: NewKeys, from: i32, to: i32, keep: bool, codes: usize): void {
  const cache = added.cache;
  const headDim = cache.headDim;
  const offset = keyPart(cache, added.slot);
  const farOffset = (<usize>added.slot * <usize>headDim) << 6;
  const far = cache.far;
  if (from > 0) gatherKey(reference, pageOf(far, from - 1) + farOffset, (from - 1) & (PAGE - 1), headDim);
  for (; from < to; from++) {
    gatherKey(codes, pageOf(cache.keys, from) + offset, from & (PAGE - 1), headDim);
    followKey(reference, codes, from < cache.sink || from == 0, added);
    if (keep) scatterKey(pageOf(far, from) + farOffset, from & (PAGE - 1), reference, headDim);
  }
}

/**
 * Makes the references of the keys `from` … `to` − 1: u8 far tiles [16 groups][headDim / 4][4 keys][4 elements]. The whole
 * keys, and the reference of the key before, must be there. Cache, slot, thresholds and work count.
 */
export function cache_store_references(added: NewKeys, from: i32, to: i32): void {
  follow(added.work, added, from, to, true, added.work + <usize>added.cache.headDim);
}

/** Keys before the window of a query at `position`; of `position` −1, 0. */
export function far_keys(cache: Cache, position: i32): i32 {
  return position < 0 ? 0 : windowStart(cache, position);
}

/** Finds the reference of the last of `length` > 0 keys anew, from whole keys and far tiles. */
export function cache_last_reference(added: NewKeys, length: i32): void {
  const cache = added.cache;
  const last = cache.lastReferences + <usize>added.slot * <usize>cache.headDim;
  follow(last, added, windowStart(cache, length - 1), length, false, added.work);
}
