import { pageOf, lane4, PAGE } from "./layout";

/** Largest absolute value of `bytes / 4` f32 numbers, NaN ignored; 0 if one is infinite: no scale ever is NaN or infinite. */
// @ts-ignore: decorator
@inline
export function absMax(x: usize, bytes: usize): f32 {
  let most = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) most = f32x4.pmax(most, f32x4.abs(v128.load(x + i)));
  most = f32x4.pmax(most, i8x16.shuffle(most, most, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  most = f32x4.pmax(most, i8x16.shuffle(most, most, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
  const result = f32x4.extract_lane(most, 0);
  return result < Infinity ? result : 0;
}

/**
 * Stores keys of `heads` consecutive KV heads of a layer in 7 bits: code = 64 + round(63·k / max|k|), half to even, one f32
 * scale per key. Part of a page of a head: u8 codes [16 groups of 4 keys][headDim / 4][4 keys][4 elements], then f32 scales [64].
 * @param pages table of u32 page addresses, one per 64 positions; `offset` is that of the first head's part in its page
 * @param keys f32 [tokens][heads][headDim], tokens `stride` bytes apart
 */
export function cache_store_keys_int8(
  pages: usize,
  offset: usize,
  keys: usize,
  stride: usize,
  tokens: i32,
  position: i32,
  headDim: i32,
  heads: i32,
): void {
  const row = <usize>headDim << 2;
  for (let head = 0; head < heads; head++, keys += row, offset += <usize>(headDim + 4) << 6)
    for (let token = 0; token < tokens; token++)
      storeKeys(pages, offset, keys + token * stride, position + token, headDim);
}

// @ts-ignore: decorator
@inline
function storeKeys(pages: usize, offset: usize, keys: usize, position: i32, headDim: i32): void {
  const row = <usize>headDim << 2;
  const part = pageOf(pages, position) + offset;
  const place = <usize>(position & (PAGE - 1));
  const most = absMax(keys, row);
  const inverse: f32 = most > 0 ? 63.0 / most : 0;
  store<f32>(part + (<usize>headDim << 6) + (place << 2), most / 63.0);
  const out = part + (place >> 2) * row + ((place & 3) << 2);
  for (let i: usize = 0; i < row; i += 16) {
    const code = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(keys + i), f32x4.splat(inverse))));
    store<u32>(out + i, lane4(i32x4.add(code, i32x4.splat(64))));
  }
}

/**
 * Stores values of KV heads in 8 bits: code = round(127·v / max|v|), half to even, one f32 scale per key.
 * Part of a page: i8 codes [16 groups of 4 keys][headDim / 4][4 elements][4 keys], then f32 scales [64]. Arguments as for keys.
 */
export function cache_store_values_int8(
  pages: usize,
  offset: usize,
  values: usize,
  stride: usize,
  tokens: i32,
  position: i32,
  headDim: i32,
  heads: i32,
): void {
  const row = <usize>headDim << 2;
  for (let head = 0; head < heads; head++, values += row, offset += <usize>(headDim + 4) << 6)
    for (let token = 0; token < tokens; token++)
      storeValues(pages, offset, values + token * stride, position + token, headDim);
}

// @ts-ignore: decorator
@inline
function storeValues(pages: usize, offset: usize, values: usize, position: i32, headDim: i32): void {
  const row = <usize>headDim << 2;
  const part = pageOf(pages, position) + offset;
  const place = <usize>(position & (PAGE - 1));
  const most = absMax(values, row);
  const inverse: f32 = most > 0 ? 127.0 / most : 0;
  store<f32>(part + (<usize>headDim << 6) + (place << 2), most / 127.0);
  const out = part + (place >> 2) * row + (place & 3);
  for (let i: usize = 0; i < row; i += 16) {
    const code = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(values + i), f32x4.splat(inverse))));
    store<u8>(out + i, <u8>i32x4.extract_lane(code, 0));
    store<u8>(out + i + 4, <u8>i32x4.extract_lane(code, 1));
    store<u8>(out + i + 8, <u8>i32x4.extract_lane(code, 2));
    store<u8>(out + i + 12, <u8>i32x4.extract_lane(code, 3));
  }
}

/** Copies keys or values of KV heads; part of a page f32 [64][headDim]. Arguments as for `cache_store_keys_int8`. */
export function cache_store_f32(
  pages: usize,
  offset: usize,
  x: usize,
  stride: usize,
  tokens: i32,
  position: i32,
  headDim: i32,
  heads: i32,
): void {
  const row = <usize>headDim << 2;
  for (let head = 0; head < heads; head++, x += row, offset += row << 6)
    for (let token = 0, at = position; token < tokens; token++, at++)
      memory.copy(pageOf(pages, at) + offset + <usize>(at & (PAGE - 1)) * row, x + token * stride, row);
}
