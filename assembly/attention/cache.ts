import { Cache } from "../abi";

/** First key of the local window of a query at `position`; all before it are far. */
// @ts-ignore: decorator
@inline
export function windowStart(cache: Cache, position: i32): i32 {
  return load<i32>(cache.windowStarts + (<usize>position << 2));
}

/** Offset of the keys of a slot in a page; delta attention keeps no scales with them. */
// @ts-ignore: decorator
@inline
export function keyPart(cache: Cache, slot: i32): usize {
  return <usize>slot * <usize>(cache.far ? cache.headDim : cache.headDim + 4) << 6;
}

/** The same of its values, whose 64 scales follow the codes. */
// @ts-ignore: decorator
@inline
export function valuePart(cache: Cache, slot: i32): usize {
  return <usize>slot * <usize>(cache.headDim + 4) << 6;
}

/**
 * Bytes from the leading elements of a group of 4 keys to those of the next. Full caches with selective scoring keep those of
 * a page together: [16 groups][lead / 4][4 keys][4 elements], and the others after them.
 */
// @ts-ignore: decorator
@inline
export function leadStride(cache: Cache): usize {
  return <usize>(cache.far ? cache.headDim : cache.select) << 2;
}

/** Where a page has its other elements. */
// @ts-ignore: decorator
@inline
export function restPart(cache: Cache): usize {
  return <usize>cache.select << (cache.far ? 2 : 6);
}

/** Bytes from those of a group to those of the next. */
// @ts-ignore: decorator
@inline
export function restStride(cache: Cache): usize {
  return <usize>(cache.far ? cache.headDim : cache.headDim - cache.select) << 2;
}
