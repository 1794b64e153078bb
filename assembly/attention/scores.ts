import { Cache } from "../abi";
import { restPart, windowStart } from "./cache";
import { CHUNK_WORK, chunkQueries, chunkScores } from "./chunks";
import { CHUNK, ELEMENT } from "./delta-store";
import { delta_unpack } from "./pack";
import { pageOf, RANGE, PAGE, touch } from "./layout";
import { keyProduct, longKeyProduct, STEP } from "./product";
import { queryBytes } from "./queries";

/** Bytes of one tile's near scores, i32 [4][64]. */
const NEAR_SCORES: usize = 1024;
/** Bytes of work of `integerScores`: near scores, those with the low parts of queries, and what chunk grain needs. */
export const NEAR_BYTES: usize = 2 * NEAR_SCORES + CHUNK_WORK;

/** Address of the far part of `slot` (layer · kvHeads + KV head) in the page of `position`; the lowest bit says packed. */
// @ts-ignore: decorator
@inline
export function farPart(cache: Cache, position: i32, slot: i32): usize {
  const page = pageOf(cache.far, position);
  if (!(page & 1)) return page + ((<usize>slot * <usize>cache.headDim) << 6);
  const base = page - 1;
  return base + <usize>load<u32>(base + (<usize>slot << 2)) + 1;
}

/** Bytes of the same part: packed ones follow one another, and after the address of the last is its end. */
// @ts-ignore: decorator
@inline
function farPartBytes(cache: Cache, position: i32, slot: i32): usize {
  const page = pageOf(cache.far, position);
  if (!(page & 1)) return <usize>cache.headDim << 6;
  const at = page - 1 + (<usize>slot << 2);
  return <usize>load<u32>(at, 4) - <usize>load<u32>(at);
}

/** Touches the far parts of tiles, four at a time. */
function touchFar(cache: Cache, slot: i32, start: i32, end: i32): void {
  for (let k = start; k < end; k += PAGE << 2) {
    const k1 = min(k + PAGE, end - 1);
    const k2 = min(k + 2 * PAGE, end - 1);
    const k3 = min(k + 3 * PAGE, end - 1);
    const bytes = max(
      max(farPartBytes(cache, k, slot), farPartBytes(cache, k1, slot)),
      max(farPartBytes(cache, k2, slot), farPartBytes(cache, k3, slot)),
    );
    // Shorter ones may be the last thing in memory.
    const most = (<usize>memory.size() << 16) - bytes;
    touch(
      min(farPart(cache, k, slot), most),
      min(farPart(cache, k1, slot), most),
      min(farPart(cache, k2, slot), most),
      min(farPart(cache, k3, slot), most),
      bytes,
    );
  }
}

/**
 * Makes the far tiles of the keys `start` … `end` − 1 ready for products: writes one u32 address per tile, odd for packed
 * tiles of chunk and row grain, which are multiplied as they are. Tiles no query needs (the window of `position` begins before them) are left out.
 * @param unpacked room for 8 tiles, then 256 bytes
 */
export function farTiles(
  tiles: usize,
  unpacked: usize,
  cache: Cache,
  slot: i32,
  start: i32,
  end: i32,
  lastWindow: i32,
): void {
  const headDim = cache.headDim;
  const grain = cache.grain;
  const size = <usize>headDim << 6;
  touchFar(cache, slot, start, min(end, lastWindow));
  for (let k = start; k < min(end, lastWindow); k += PAGE, tiles += 4, unpacked += size) {
    let part = farPart(cache, k, slot);
    if (part & 1 && (grain == ELEMENT || (cache.select && grain == CHUNK))) {
      delta_unpack(unpacked, part - 1, headDim, grain, cache.expandTable, unpacked + size);
      part = unpacked;
    }
    store<u32>(tiles, <u32>part);
  }
}

/** Row grain: scores of the keys that were kept, handed to the keys that repeat them. */
function repeatScores(out: usize, outStride: usize, kept: usize, rows: i32, bits: u64, keys: i32): void {
  for (let row = 0; row < rows; row++, out += outStride, kept += PAGE << 2) {
    let from = kept - 4;
    for (let key = 0; key < keys; key++) {
      from += <usize>((bits >> key) & 1) << 2;
      store<i32>(out + (<usize>key << 2), load<i32>(from));
    }
  }
}

/** QKᵀ of a tile; the rows are from `attention_queries_int8` with the same `long`. */
// @ts-ignore: decorator
@inline
export function tileScores(
  out: usize,
  outStride: usize,
  query: usize,
  some: i32,
  codes: usize,
  headDim: i32,
  groups: i32,
  long: bool,
  low: usize,
): void {
  if (long) longKeyProduct(out, outStride, query, queryBytes(headDim), some, codes, headDim, groups, low);
  else keyProduct(out, outStride, query, queryBytes(headDim), some, codes, headDim, groups);
}

/** QKᵀ of a page with its leading elements apart; rows of `out` are RANGE scores apart. @param near room for i32 [4][64] */
function partScores(out: usize, query: usize, some: i32, codes: usize, cache: Cache, groups: i32, near: usize): void {
  const headDim = cache.headDim;
  const lead = cache.select;
  const size = queryBytes(headDim);
  keyProduct(out, RANGE << 2, query, size, some, codes, lead, groups);
  keyProduct(near, PAGE << 2, query + <usize>(lead >> 2) * STEP, size, some, codes + restPart(cache), headDim - lead, groups);
  for (let r = 0; r < some; r++, out += RANGE << 2, near += PAGE << 2)
    for (let i: usize = 0; i < <usize>groups << 4; i += 16)
      v128.store(out + i, i32x4.add(v128.load(out + i), v128.load(near + i)));
}

/**
 * Integer scores of 1–4 query rows with the keys `start` … `start` + `most` − 1, most ≤ 512: i32 [rows][512]. A key before
 * the window of its query is taken from the far store. Returns the groups of 4 keys that were multiplied.
 * @param first slot of the first row; the first row of all is at `position`
 * @param slot layer · kvHeads + KV head; its keys are at `keyOffset` of a page
 * @param tiles from `farTiles`; @param near NEAR_BYTES of work
 */
export function integerScores(
  out: usize,
  cache: Cache,
  keyOffset: usize,
  query: usize,
  position: i32,
  first: i32,
  some: i32,
  start: i32,
  most: i32,
  tiles: usize,
  near: usize,
): i32 {
  const headDim = cache.headDim;
  const group = cache.group;
  const stride = RANGE << 2;
  const long = (cache.longQueries != 0);
  const low = near + NEAR_SCORES;
  const pages = cache.keys;
  const delta = cache.far != 0;
  const firstWindow = delta ? windowStart(cache, position + first / group) : 0;
  const lastWindow = delta ? windowStart(cache, position + (first + some - 1) / group) : 0;
  const chunks = delta && cache.grain == CHUNK && lastWindow > start;
  const chunkWork = low + NEAR_SCORES;
  if (chunks) chunkQueries(chunkWork, query, queryBytes(headDim), some, headDim, long);
  let multiplied = 0;
  for (let k = 0; k < most; k += PAGE, out += PAGE << 2, tiles += 4) {
    const groups = min(16, ((most - k + 7) >> 3) << 1);
    const needed = min(16, (most - k + 3) >> 2);
    const tile = start + k;
    if (lastWindow <= tile) {
      const codes = pageOf(pages, tile) + keyOffset;
      if (cache.select && !delta) partScores(out, query, some, codes, cache, groups, near);
      else tileScores(out, stride, query, some, codes, headDim, groups, long, low);
      multiplied += needed;
      continue;
    }
    const far = <usize>load<u32>(tiles);
    if (far & 1 && chunks)
      multiplied += min(needed, chunkScores(out, stride, some, far - 1, headDim, long, chunkWork, low));
    else if (far & 1) {
      const bits = load<u64>(far - 1);
      const kept = (<i32>popcnt(bits) + 7) >> 3 << 1;
      tileScores(near, PAGE << 2, query, some, far + 15, headDim, kept, long, low);
      multiplied += min(needed, kept);
      repeatScores(out, stride, near, some, bits, min(PAGE, most - k));
    } else {
      tileScores(out, stride, query, some, far, headDim, groups, long, low);
      multiplied += needed;
    }
    if (firstWindow >= tile + min(PAGE, most - k)) continue;
    tileScores(near, PAGE << 2, query, some, pageOf(pages, tile) + keyOffset, headDim, groups, long, low);
    multiplied += needed;
    for (let row = 0; row < some; row++) {
      const window = windowStart(cache, position + (first + row) / group);
      for (let key = max(0, window - tile); key < min(PAGE, most - k); key++)
        store<i32>(
          out + <usize>row * stride + (<usize>key << 2),
          load<i32>(near + (<usize>row << 8) + (<usize>key << 2)),
        );
    }
  }
  return multiplied;
}
