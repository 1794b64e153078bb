import { countLanes, gridCodes, longer, mapRow, squaredDifference, touchMap } from "./grid";
import { blockOf, TILE } from "./layout";
import { farBlocks, grainOf, headDimOf, keyBlocks, keyPart, lastReference, nextReference, sinkOf, windowStart } from "./parameters";

export const ELEMENT: i32 = 0;
export const CHUNK: i32 = 1;
export const ROW: i32 = 2;

/** Reads one key's codes, [headDim], out of a tile. */
export function gatherKey(out: usize, tile: usize, slot: i32, headDim: i32): void {
  let from = tile + <usize>(slot >> 2) * (<usize>headDim << 2) + (<usize>(slot & 3) << 2);
  for (let i: usize = 0; i < <usize>headDim; i += 4, from += 16) store<u32>(out + i, load<u32>(from));
}

/** Writes one key's codes into a tile. */
export function scatterKey(tile: usize, slot: i32, codes: usize, headDim: i32): void {
  let to = tile + <usize>(slot >> 2) * (<usize>headDim << 2) + (<usize>(slot & 3) << 2);
  for (let i: usize = 0; i < <usize>headDim; i += 4, to += 16) store<u32>(to, load<u32>(codes + i));
}

/**
 * Stores keys of one layer and KV head on a fixed grid: code = 64 + round(map(k)), clamped to 1..127. Block part as in
 * `cache_store_keys_int8`, every scale 1.
 * @param map what `map_rows` takes: to grid coordinates
 * @param work 5·headDim bytes
 */
export function cache_store_keys_grid(
  blocks: usize,
  offset: usize,
  keys: usize,
  stride: usize,
  tokens: i32,
  position: i32,
  headDim: i32,
  map: usize,
  matrix: i32,
  work: usize,
): void {
  const codes = work + (<usize>headDim << 2);
  touchMap(map, matrix, headDim);
  for (let token = 0; token < tokens; token++, position++, keys += stride) {
    mapRow(work, keys, map, matrix, <usize>headDim << 2);
    for (let i: usize = 0; i < <usize>headDim; i += 16) v128.store(codes + i, gridCodes(work + (i << 2)));
    const part = blockOf(blocks, position) + offset;
    const slot = position & (TILE - 1);
    scatterKey(part, slot, codes, headDim);
    store<f32>(part + (<usize>headDim << 6) + (<usize>slot << 2), 1);
  }
}

/**
 * One step of delta attention: where a code differs from the reference by more than the threshold the reference takes it,
 * elsewhere it stays. Returns how many elements were taken.
 * @param grain 0: elements, code difference > limits[i]; 1: 16 neighbours, Σ difference²·squares[i] > limit (f32); 2: the
 * whole key, likewise
 */
function followKey(
  reference: usize,
  codes: usize,
  whole: bool,
  headDim: i32,
  grain: i32,
  limits: usize,
  squares: usize,
  limit: f32,
): i32 {
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
      const moved = i8x16.gt_u(i8x16.abs(i8x16.sub(code, old)), v128.load(limits + i));
      v128.store(reference + i, v128.bitselect(code, old, moved));
      kept += countLanes(moved);
    } else if (grain == CHUNK) {
      if (longer(squaredDifference(f32x4.splat(0), code, old, squares + (i << 2)), limit)) {
        v128.store(reference + i, code);
        kept += 16;
      }
    } else length = squaredDifference(length, code, old, squares + (i << 2));
  }
  if (grain == ROW && longer(length, limit)) {
    memory.copy(reference, codes, size);
    kept = headDim;
  }
  return kept;
}

/**
 * Stores keys as `cache_store_keys_grid` does, and follows them with the reference of delta attention from that of the last
 * key (of which it counts what changes, and leaves that of the newest as the next). Keys before `sink` are taken whole.
 * Must run for one KV head in the order of positions.
 * @param parameters of the cache, see parameters.ts; `index` is layer · kvHeads + KV head
 * @param limits u8 [headDim]; `squares` f32 [headDim], the squared grid steps; `limit` θ²
 * @param counters two u64: elements not stored, elements seen; added to
 * @param work 5·headDim bytes
 */
export function cache_store_keys_delta(
  parameters: usize,
  index: i32,
  keys: usize,
  stride: usize,
  tokens: i32,
  position: i32,
  map: usize,
  matrix: i32,
  limits: usize,
  squares: usize,
  limit: f32,
  counters: usize,
  work: usize,
): void {
  const headDim = headDimOf(parameters);
  const size = <usize>headDim;
  const offset = keyPart(parameters, index);
  const codes = work + (size << 2);
  const reference = nextReference(parameters) + <usize>index * size;
  memory.copy(reference, lastReference(parameters) + <usize>index * size, size);
  let kept: u64 = 0;
  touchMap(map, matrix, headDim);
  for (let token = 0; token < tokens; token++, position++, keys += stride) {
    mapRow(work, keys, map, matrix, size << 2);
    for (let i: usize = 0; i < size; i += 16) v128.store(codes + i, gridCodes(work + (i << 2)));
    const whole = position < sinkOf(parameters) || position == 0;
    kept += followKey(reference, codes, whole, headDim, grainOf(parameters), limits, squares, limit);
    const slot = position & (TILE - 1);
    scatterKey(blockOf(keyBlocks(parameters), position) + offset, slot, codes, headDim);
  }
  const seen = <u64>tokens * size;
  store<u64>(counters, load<u64>(counters) + seen - kept);
  store<u64>(counters, load<u64>(counters, 8) + seen, 8);
}

/** Walks the keys `from` … `to` − 1 from the reference of the key before; `keep`: into the far tiles. */
function follow(
  reference: usize,
  parameters: usize,
  index: i32,
  from: i32,
  to: i32,
  keep: bool,
  limits: usize,
  squares: usize,
  limit: f32,
  codes: usize,
): void {
  const headDim = headDimOf(parameters);
  const offset = keyPart(parameters, index);
  const farOffset = (<usize>index * <usize>headDim) << 6;
  const far = farBlocks(parameters);
  if (from > 0) gatherKey(reference, blockOf(far, from - 1) + farOffset, (from - 1) & (TILE - 1), headDim);
  for (; from < to; from++) {
    gatherKey(codes, blockOf(keyBlocks(parameters), from) + offset, from & (TILE - 1), headDim);
    const whole = from < sinkOf(parameters) || from == 0;
    followKey(reference, codes, whole, headDim, grainOf(parameters), limits, squares, limit);
    if (keep) scatterKey(blockOf(far, from) + farOffset, from & (TILE - 1), reference, headDim);
  }
}

/**
 * Makes the references of the keys `from` … `to` − 1: u8 far tiles [16 groups][headDim / 4][4 keys][4 elements]. The whole
 * keys, and the reference of the key before, must be there. Arguments as for `cache_store_keys_delta`.
 * @param work 2·headDim bytes
 */
export function cache_store_references(
  parameters: usize,
  index: i32,
  from: i32,
  to: i32,
  limits: usize,
  squares: usize,
  limit: f32,
  work: usize,
): void {
  follow(work, parameters, index, from, to, true, limits, squares, limit, work + <usize>headDimOf(parameters));
}

/** Keys before the window of a query at `position`; of `position` −1, 0. */
export function far_keys(parameters: usize, position: i32): i32 {
  return position < 0 ? 0 : windowStart(parameters, position);
}

/** Finds the reference of the last of `length` > 0 keys anew, from whole keys and far tiles. Arguments as above. */
export function cache_last_reference(
  parameters: usize,
  index: i32,
  length: i32,
  limits: usize,
  squares: usize,
  limit: f32,
  work: usize,
): void {
  const from = windowStart(parameters, length - 1);
  const last = lastReference(parameters) + <usize>index * <usize>headDimOf(parameters);
  follow(last, parameters, index, from, length, false, limits, squares, limit, work);
}
