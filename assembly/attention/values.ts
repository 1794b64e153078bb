import { RANGE } from "./layout";
import { STEP, valueProduct, valueProductSome } from "./product";
import { stateBytes } from "./softmax";
import { CODES, LIST, SUMS, TILE_SCALES } from "./work";

/** The groups of 4 keys of a tile in which any of the rows has a weight: bit g for group g. */
export function neededGroups(weights: usize, rows: i32): i32 {
  let mask = 0;
  for (let g = 0; g < 16; g += ASC_FEATURE_RELAXED_SIMD ? 4 : 2, weights += 16) {
    let any = v128.load(weights);
    for (let row = 1; row < rows; row++) any = v128.or(any, v128.load(weights + <usize>row * (RANGE << 1)));
    const bits = ASC_FEATURE_RELAXED_SIMD
      ? i32x4.bitmask(i32x4.ne(any, i32x4.splat(0)))
      : i64x2.bitmask(i64x2.ne(any, i64x2.splat(0)));
    mask |= bits << g;
  }
  return mask;
}

/** What `touchParts` is for, with groups of 4 values of a tile. */
export function touchGroups(codes: usize, mask: i32, headDim: i32): void {
  const size = <usize>headDim << 2;
  for (; mask; mask &= mask - 1) {
    const group = codes + <usize>ctz(mask) * size;
    for (let at: usize = 0; at < size; at += 64) load<u8>(group + at);
  }
}

/** The numbers of the bits of a mask, as u8. */
// @ts-ignore: decorator
@inline
function listBits(list: usize, mask: i32): void {
  for (; mask; mask &= mask - 1, list++) store<u8>(list, <u8>ctz(mask));
}

/**
 * PV of 1–4 rows with a tile, added to the states of those from `from` on or, with `fresh`, put there. Returns the groups of
 * 4 keys multiplied.
 */
export function tileValues(
  work: usize,
  states: usize,
  some: i32,
  tile: i32,
  codes: usize,
  groups: i32,
  headDim: i32,
  skip: bool,
  fresh: bool,
  from: i32,
): i32 {
  const bytes = <usize>headDim << 2;
  const sums = work + SUMS;
  const weights = work + CODES + <usize>(tile << 4) * STEP;
  if (skip) {
    // Codes after the last group are what was there before.
    const mask = neededGroups(weights, some) & ((1 << groups) - 1);
    if (mask == 0 && !fresh) return 0;
    groups = <i32>popcnt(mask);
    listBits(work + LIST, mask);
    valueProductSome(sums, bytes, weights, RANGE << 1, some, codes, headDim, groups, work + LIST);
  } else valueProduct(sums, bytes, weights, RANGE << 1, some, codes, headDim, groups);
  for (let r = from; r < some; r++) {
    const scale = v128.load32_splat(work + TILE_SCALES + (<usize>r << 5) + (<usize>tile << 2));
    const state = states + <usize>r * stateBytes(headDim);
    const add = sums + <usize>r * bytes;
    if (fresh)
      for (let i: usize = 0; i < bytes; i += 16)
        v128.store(state + i, f32x4.mul(f32x4.convert_i32x4_s(v128.load(add + i)), scale));
    else
      for (let i: usize = 0; i < bytes; i += 16) {
        const x = f32x4.mul(f32x4.convert_i32x4_s(v128.load(add + i)), scale);
        v128.store(state + i, f32x4.add(v128.load(state + i), x));
      }
  }
  return groups;
}

/**
 * Adds to four u64: groups of 4 values multiplied, those of full attention, steps of 4 keys and 4 elements multiplied, those
 * of full attention (for `all` groups of keys).
 */
export function addCounts(counters: usize, values: u64, keySteps: u64, all: u64, headDim: i32): void {
  store<u64>(counters, load<u64>(counters) + values);
  store<u64>(counters, load<u64>(counters, 8) + all, 8);
  store<u64>(counters, load<u64>(counters, 16) + keySteps, 16);
  store<u64>(counters, load<u64>(counters, 24) + all * (headDim >> 2), 24);
}

/**
 * Adds to the three u64 after those: exponentials of groups of 4 keys and a row that were computed, groups that were
 * completed, and groups there were.
 */
export function addSelection(counters: usize, exponents: u64, wanted: u64, offered: u64): void {
  store<u64>(counters, load<u64>(counters, 32) + exponents, 32);
  store<u64>(counters, load<u64>(counters, 40) + wanted, 40);
  store<u64>(counters, load<u64>(counters, 48) + offered, 48);
}
