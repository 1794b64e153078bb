// Writing one row of a layout. `row` is the row's number in the matrix; a row is written independently of its group.
import { f16FromFloat, floatFromF16 } from "../numbers";

/**
 * Place of source row `row`: with `headDim` ≠ 0, rows 2j and 2j + 1 of each head go to j and j + headDim / 2 (RoPE pairs
 * from neighbours to halves).
 */
// @ts-ignore: decorator
@inline
export function placeOfRow(row: i32, headDim: i32): i32 {
  if (headDim == 0) return row;
  const inHead = row % headDim;
  return row - inHead + (inHead >> 1) + (inHead & 1) * (headDim >> 1);
}

/** `codes`: u8 [padded], 0 … 2. */
// @ts-ignore: decorator
@inline
export function packTernaryRow(weights: usize, padded: i32, row: i32, codes: usize): void {
  let to = weights + <usize>(row >> 3) * (padded << 1) + ((row & 7) << 2);
  for (const end = codes + padded; codes < end; codes += 16, to += 32) {
    store<u32>(
      to,
      load<u32>(codes) | (load<u32>(codes, 4) << 2) | (load<u32>(codes, 8) << 4) | (load<u32>(codes, 12) << 6),
    );
  }
}

/** One block of 32 signed codes with the f16 scale `d`; `block` is the address of the group's block. */
// @ts-ignore: decorator
@inline
export function packQ8Block(block: usize, lane: i32, d: u32, codes: usize): void {
  store<u16>(block + (lane << 1), d);
  const to = block + 16 + (lane << 1);
  packQ8Half(to, v128.load(codes));
  packQ8Half(to + 128, v128.load(codes, 16));
}

/** 16 codes: columns 0, 2 and 1, 3 of every four as pairs, 16 bytes apart. */
// @ts-ignore: decorator
@inline
function packQ8Half(to: usize, codes: v128): void {
  const pairs = v128.shuffle<i8>(codes, codes, 0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
  v128.store16_lane(to, pairs, 0);
  v128.store16_lane(to, pairs, 1, 16);
  v128.store16_lane(to, pairs, 2, 32);
  v128.store16_lane(to, pairs, 3, 48);
  v128.store16_lane(to, pairs, 4, 64);
  v128.store16_lane(to, pairs, 5, 80);
  v128.store16_lane(to, pairs, 6, 96);
  v128.store16_lane(to, pairs, 7, 112);
}

/** Packs 16 bytes of nibbles (low: columns 0–15, high: 16–31) of one block; `codes` is after the parameters. */
// @ts-ignore: decorator
@inline
export function packNibbles(to: usize, lane: i32, nibbles: usize): void {
  const at = to + (lane << 2);
  store<u32>(at, load<u32>(nibbles));
  store<u32>(at, load<u32>(nibbles, 4), 32);
  store<u32>(at, load<u32>(nibbles, 8), 64);
  store<u32>(at, load<u32>(nibbles, 12), 96);
}

/** One block of 32 codes 0 … 63 of layout `q6`: f16 scale `d` and one factor per 16 columns. */
// @ts-ignore: decorator
@inline
export function packQ6Block(block: usize, lane: i32, d: u32, factor0: i32, factor1: i32, codes: usize): void {
  store<u16>(block + (lane << 1), d);
  store<i8>(block + lane, factor0, 16);
  store<i8>(block + lane, factor1, 24);
  packQ6Half(block + 32 + (lane << 2), codes);
  packQ6Half(block + 128 + (lane << 2), codes + 16);
}

/** 16 codes: three quads with two bits of the fourth on top of each. */
// @ts-ignore: decorator
@inline
function packQ6Half(to: usize, codes: usize): void {
  const fourth = load<u32>(codes, 12);
  const pair: u32 = 0x03030303;
  store<u32>(to, load<u32>(codes) | ((fourth & pair) << 6));
  store<u32>(to, load<u32>(codes, 4) | (((fourth >> 2) & pair) << 6), 32);
  store<u32>(to, load<u32>(codes, 8) | (((fourth >> 4) & pair) << 6), 64);
}

/** One half block of 16 codes 0 … 63 with scale and minimum. */
// @ts-ignore: decorator
@inline
export function packCodes(half: usize, lane: i32, d: f32, m: f32, codes: usize): void {
  store<f32>(half + (lane << 2), d);
  store<f32>(half + (lane << 2), m, 32);
  const to = half + 64 + (lane << 2);
  store<u32>(to, load<u32>(codes));
  store<u32>(to, load<u32>(codes, 4), 32);
  store<u32>(to, load<u32>(codes, 8), 64);
  store<u32>(to, load<u32>(codes, 12), 96);
}

/**
 * 32 finite f32 values to signed codes with an f16 scale d = f16(max|x| / limit): code = round(x / d), half to even,
 * within ± limit; codes as i8 to `codes`. Returns the bits of d, or −1 if a value is not finite. `magnitude`: all bits but
 * the sign; `rounder`: ROUNDER; loops keep them in registers (opaque.ts).
 */
// @ts-ignore: decorator
@inline
export function quantiseBlock(values: usize, codes: usize, limit: f32, magnitude: v128, rounder: v128): i32 {
  // Magnitudes are ordered like their bits.
  let top = v128.and(v128.load(values), magnitude);
  for (let i: usize = 16; i < 128; i += 16) top = i32x4.max_s(top, v128.and(v128.load(values + i), magnitude));
  const largest = max(
    max(i32x4.extract_lane(top, 0), i32x4.extract_lane(top, 1)),
    max(i32x4.extract_lane(top, 2), i32x4.extract_lane(top, 3)),
  );
  if (largest >= 0x7f800000) return -1;
  const d = f16FromFloat(min<f32>(reinterpret<f32>(largest) / limit, 65504));
  const scale = floatFromF16(d);
  const inverse = f32x4.splat(scale == 0 ? 0 : <f32>1 / scale);
  const high = f32x4.splat(limit);
  const low = f32x4.neg(high);
  for (let i: usize = 0; i < 32; i += 16) {
    const from = values + (i << 2);
    const a = roundTo(v128.load(from), inverse, low, high, rounder);
    const b = roundTo(v128.load(from, 16), inverse, low, high, rounder);
    const c = roundTo(v128.load(from, 32), inverse, low, high, rounder);
    const e = roundTo(v128.load(from, 48), inverse, low, high, rounder);
    v128.store(codes + i, i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, e)));
  }
  return d;
}

/** 1.5 · 2^23: adding it rounds half to even and leaves the integer in the low bits. */
export const ROUNDER: i32 = 0x4b400000;

// @ts-ignore: decorator
@inline
function roundTo(x: v128, inverse: v128, low: v128, high: v128, rounder: v128): v128 {
  const clamped = f32x4.pmax(low, f32x4.pmin(high, f32x4.mul(x, inverse)));
  return i32x4.sub(f32x4.add(clamped, rounder), rounder);
}
