import { hoisted, opaqueZero, storeTransposed, PAGE } from "./layout";
import { addLow } from "./product";

// Chunk grain. A packed part: u64 [headDim / 16] bits of the keys whose chunk of 16 codes changed (bit 0 set, as the first
// key is whole), in a multiple of 16 bytes; then those chunks, u8 [16] each, all of the first 16 elements, then all of the
// next, and so on.
//
// As q·r is a sum over chunks, and a chunk that did not change adds to a key's score what it added to the score of the key
// before, a product is needed only for chunks that changed: the difference from the product with the chunk before goes to the
// key, and sums over the keys up to each one are the scores.

/** Bytes of the masks of a part. */
// @ts-ignore: decorator
@inline
function maskBytes(headDim: i32): usize {
  return <usize>(((headDim >> 1) + 15) & ~15);
}

/** Packs a tile, or with `out` 0 only counts: returns the bytes. */
export function packChunks(out: usize, tile: usize, headDim: i32, work: usize): i32 {
  const row = <usize>headDim << 2;
  let at = maskBytes(headDim);
  if (out) memory.fill(out, 0, at);
  for (let i: usize = 0; i < row; i += 64, tile += 64) {
    let mask: u64 = 0;
    let before = i32x4.splat(0);
    for (let key = 0; key < PAGE; key++) {
      const four = tile + <usize>(key >> 2) * row;
      if ((key & 3) == 0)
        storeTransposed(work, 16, v128.load(four), v128.load(four, 16), v128.load(four, 32), v128.load(four, 48));
      const now = v128.load(work + (<usize>(key & 3) << 4));
      if (key > 0 && !v128.any_true(v128.xor(now, before))) continue;
      if (out) v128.store(out + at, now);
      at += 16;
      mask |= (<u64>1) << key;
      before = now;
    }
    if (out) store<u64>(out + (i >> 3), mask);
  }
  return <i32>at;
}

/** Undoes `packChunks`. Whether a chunk changed is close to random: choosing its address costs less than a branch. */
export function unpackChunks(tile: usize, part: usize, headDim: i32): void {
  const row = <usize>headDim << 2;
  let d = part + maskBytes(headDim) - 16;
  for (let i: usize = 0; i < row; i += 64, tile += 64, part += 8) {
    let mask = load<u64>(part);
    for (let to = tile, end = tile + (row << 4); to < end; to += row, mask >>= 4) {
      const bits = <usize>mask;
      const a = d + ((bits & 1) << 4);
      const b = a + ((bits & 2) << 3);
      const c = b + ((bits & 4) << 2);
      d = c + ((bits & 8) << 1);
      storeTransposed(to, 16, v128.load(a), v128.load(b), v128.load(c), v128.load(d));
    }
  }
}

/** Bytes of work of the two functions below, for heads of up to 256 elements: sums i32 [64 keys][4 rows], then the rows. */
export const CHUNK_WORK: usize = 1024 + 8 * 256;

/**
 * Makes 1–4 query rows ready for `chunkScores`: [headDim / 4 or, of 16-bit numbers, / 2][4 rows][4 bytes], the low parts of
 * `long` ones after the high parts.
 */
export function chunkQueries(work: usize, query: usize, queryStride: usize, rows: i32, headDim: i32, long: bool): void {
  memory.fill(work, 0, 1024);
  const query1 = query + (rows > 1 ? queryStride : 0);
  const query2 = query + (rows > 2 ? 2 * queryStride : 0);
  const query3 = query + (rows > 3 ? 3 * queryStride : 0);
  const bytes = <usize>(ASC_FEATURE_RELAXED_SIMD && !long ? headDim : headDim << 1);
  let to = work + 1024;
  for (let i: usize = 0; i < bytes; i += 16, to += 64)
    storeTransposed(
      to, 16, v128.load(query + i), v128.load(query1 + i), v128.load(query2 + i), v128.load(query3 + i));
}

/**
 * QKᵀ of 1–4 query rows with a packed part: out[row][key], i32 [64], rows `outStride` bytes apart. Returns how many groups of
 * 4 keys would take as many products.
 * @param work from `chunkQueries`
 * @param low room for i32 [4][64]
 */
export function chunkScores(
  out: usize,
  outStride: usize,
  rows: i32,
  part: usize,
  headDim: i32,
  long: bool,
  work: usize,
  low: usize,
): i32 {
  const changed = addChanges(work, work + 1024, part, headDim);
  sumChanges(out, outStride, rows, work);
  if (ASC_FEATURE_RELAXED_SIMD && long) {
    addChanges(work, work + 1024 + (<usize>headDim << 2), part, headDim);
    sumChanges(low, 256, rows, work);
    addLow(out, outStride, low, rows, 256);
  }
  return (changed + (headDim >> 2) - 1) / (headDim >> 2);
}

// @ts-ignore: decorator
@inline
function dot8(query: v128, codes: v128, ones: v128): v128 {
  return i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(query, codes), ones);
}

/** sums[key] += difference of the products with the key's chunks and with those before. Returns how many chunks there are. */
function addChanges(sums: usize, queries: usize, part: usize, headDim: i32): i32 {
  const chunks = part + maskBytes(headDim);
  const ones = hoisted(i16x8.splat(1), opaqueZero());
  let chunk = chunks;
  for (const end = part + <usize>(headDim >> 1); part < end; part += 8) {
    let mask = load<u64>(part);
    let before = i32x4.splat(0);
    const q0 = v128.load(queries);
    const q1 = v128.load(queries, 16);
    const q2 = v128.load(queries, 32);
    const q3 = v128.load(queries, 48);
    // 16-bit numbers take twice the room.
    const wide = <usize>(ASC_FEATURE_RELAXED_SIMD ? 0 : 64);
    const q4 = v128.load(queries + wide);
    const q5 = v128.load(queries + wide, 16);
    const q6 = v128.load(queries + wide, 32);
    const q7 = v128.load(queries + wide, 48);
    queries += 64 + wide;
    do {
      let now: v128;
      if (ASC_FEATURE_RELAXED_SIMD) {
        const a = i32x4.add(
          dot8(q0, v128.load32_splat(chunk), ones), dot8(q1, v128.load32_splat(chunk, 4), ones));
        const b = i32x4.add(
          dot8(q2, v128.load32_splat(chunk, 8), ones), dot8(q3, v128.load32_splat(chunk, 12), ones));
        now = i32x4.add(a, b);
      } else {
        const x = v128.load8x8_s(chunk);
        const y = v128.load8x8_s(chunk, 8);
        const a = i32x4.add(
          i32x4.dot_i16x8_s(q0, i32x4.shuffle(x, x, 0, 0, 0, 0)), i32x4.dot_i16x8_s(q1, i32x4.shuffle(x, x, 1, 1, 1, 1)));
        const b = i32x4.add(
          i32x4.dot_i16x8_s(q2, i32x4.shuffle(x, x, 2, 2, 2, 2)), i32x4.dot_i16x8_s(q3, i32x4.shuffle(x, x, 3, 3, 3, 3)));
        const c = i32x4.add(
          i32x4.dot_i16x8_s(q4, i32x4.shuffle(y, y, 0, 0, 0, 0)), i32x4.dot_i16x8_s(q5, i32x4.shuffle(y, y, 1, 1, 1, 1)));
        const d = i32x4.add(
          i32x4.dot_i16x8_s(q6, i32x4.shuffle(y, y, 2, 2, 2, 2)), i32x4.dot_i16x8_s(q7, i32x4.shuffle(y, y, 3, 3, 3, 3)));
        now = i32x4.add(i32x4.add(a, b), i32x4.add(c, d));
      }
      const sum = sums + (<usize>ctz(mask) << 4);
      v128.store(sum, i32x4.add(v128.load(sum), i32x4.sub(now, before)));
      before = now;
      mask &= mask - 1;
      chunk += 16;
    } while (mask);
  }
  return <i32>((chunk - chunks) >> 4);
}

/** out[row][key] = sum over the keys up to this one; leaves zeros behind. */
function sumChanges(out: usize, outStride: usize, rows: i32, sums: usize): void {
  const zero = i32x4.splat(0);
  let d = zero;
  for (const end = sums + 1024; sums < end; sums += 64, out += 16) {
    const a = i32x4.add(d, v128.load(sums));
    const b = i32x4.add(a, v128.load(sums, 16));
    const c = i32x4.add(b, v128.load(sums, 32));
    d = i32x4.add(c, v128.load(sums, 48));
    v128.store(sums, zero);
    v128.store(sums, zero, 16);
    v128.store(sums, zero, 32);
    v128.store(sums, zero, 48);
    if (rows == 4) {
      storeTransposed(out, outStride, a, b, c, d);
      continue;
    }
    const ab = i32x4.shuffle(a, b, 0, 4, 1, 5);
    const cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
    v128.store(out, i64x2.shuffle(ab, cd, 0, 2));
    if (rows > 1) v128.store(out + outStride, i64x2.shuffle(ab, cd, 1, 3));
    if (rows > 2)
      v128.store(
        out + 2 * outStride, i64x2.shuffle(i32x4.shuffle(a, b, 2, 6, 2, 6), i32x4.shuffle(c, d, 2, 6, 2, 6), 0, 2));
  }
}
