import { countLanes, gridCodes, longer, map_rows, squaredDifference } from "./grid";
import { blockOf, TILE } from "./layout";

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
  for (let token = 0; token < tokens; token++, position++, keys += stride) {
    map_rows(work, keys, 0, 1, 1, map, matrix, headDim);
    for (let i: usize = 0; i < <usize>headDim; i += 16) v128.store(codes + i, gridCodes(work + (i << 2)));
    const part = blockOf(blocks, position) + offset;
    const slot = position & (TILE - 1);
    scatterKey(part, slot, codes, headDim);
    store<f32>(part + (<usize>headDim << 6) + (<usize>slot << 2), 1);
  }
}

/**
 * Stores keys twice: as `cache_store_keys_grid` does, and as the reference row r of delta attention: where the code differs
 * from the reference by more than the threshold the reference takes the new code, elsewhere it stays. The reference of a
 * token is kept at the same place of the far tile, u8 [16 groups][headDim / 4][4 keys][4 elements]. Keys before `sink` are
 * taken whole. Must run for one KV head in the order of positions.
 * @param grain 0: elements, code difference > limits[i]; 1: 16 neighbours, Σ difference²·squares[i] > theta² (f32); 2: the
 * whole key, likewise
 * @param limits u8 [headDim]; `squares` f32 [headDim], the squared grid steps
 * @param counters two u64: elements not stored, elements seen; added to
 * @param work 6·headDim bytes
 */
export function cache_store_keys_delta(
  blocks: usize,
  offset: usize,
  farBlocks: usize,
  farOffset: usize,
  keys: usize,
  stride: usize,
  tokens: i32,
  position: i32,
  headDim: i32,
  map: usize,
  matrix: i32,
  grain: i32,
  sink: i32,
  limits: usize,
  squares: usize,
  limit: f32,
  counters: usize,
  work: usize,
): void {
  const size = <usize>headDim;
  const codes = work + (size << 2);
  const reference = codes + size;
  let kept: u64 = 0;
  if (position > 0)
    gatherKey(reference, blockOf(farBlocks, position - 1) + farOffset, (position - 1) & (TILE - 1), headDim);
  for (let token = 0; token < tokens; token++, position++, keys += stride) {
    map_rows(work, keys, 0, 1, 1, map, matrix, headDim);
    const whole = position < sink || position == 0;
    let length = f32x4.splat(0);
    for (let i: usize = 0; i < size; i += 16) {
      const code = gridCodes(work + (i << 2));
      v128.store(codes + i, code);
      const old = v128.load(reference + i);
      if (whole) {
        v128.store(reference + i, code);
        kept += 16;
      } else if (grain == ELEMENT) {
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
    if (grain == ROW && !whole && longer(length, limit)) {
      memory.copy(reference, codes, size);
      kept += size;
    }
    const slot = position & (TILE - 1);
    const part = blockOf(blocks, position) + offset;
    scatterKey(part, slot, codes, headDim);
    store<f32>(part + (size << 6) + (<usize>slot << 2), 1);
    scatterKey(blockOf(farBlocks, position) + farOffset, slot, reference, headDim);
  }
  const seen = <u64>tokens * size;
  store<u64>(counters, load<u64>(counters) + seen - kept);
  store<u64>(counters, load<u64>(counters, 8) + seen, 8);
}
