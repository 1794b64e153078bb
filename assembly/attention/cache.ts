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
