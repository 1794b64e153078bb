import { NEAR_BYTES } from "./scores";

// The work area of a thread: scores [4][512] (f32 or i32), codes of weights [4][512] (u16 at most), tile scales [4][8],
// near scores, tile addresses (of selective scoring u32 [8] of pages of keys, then of values), list of value groups; of selective scoring u8 [128] listed groups, f32 [4][4] largest scores, i32 [9]
// where pages begin in the list, i32 [1] whether ranges are touched whole, i32 [4] what is taken from scores, f32 [4] least weights (and tile scales [8][4] instead of [4][8]), f32 [4][4] sums of weights, u32 [160] addresses of keys, then of values; sums i32 [4][headDim], states [4], unpacked tiles [8], 256 bytes.
export const CODES: usize = 4 * 512 * 4;
export const TILE_SCALES: usize = CODES + 4 * 512 * 2;
export const NEAR: usize = TILE_SCALES + 128;
export const TILES: usize = NEAR + NEAR_BYTES;
export const VALUES: usize = TILES + 32;
export const LIST: usize = TILES + 64;
export const GROUPS: usize = LIST + 64;
export const MOST: usize = GROUPS + 128;
export const STARTS: usize = MOST + 64;
export const TOUCH_WHOLE: usize = STARTS + 40;
export const LESS: usize = STARTS + 48;
export const LOWEST: usize = STARTS + 64;
export const WEIGHT_SUMS: usize = LOWEST + 16;
export const ADDRESSES: usize = WEIGHT_SUMS + 64;
export const SUMS: usize = ADDRESSES + 640;

/** Bytes of the work area, and how many more it has for each element of a head. */
export const WORK_BYTES: i32 = <i32>SUMS + 4 * 16 + 256;
export const WORK_BYTES_PER_ELEMENT: i32 = 4 * 4 + 4 * 4 + 8 * 64;
