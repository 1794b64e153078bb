export { PAGE, RANGE, SPAN } from "../abi/attention";

/** Address of the page that holds `position`. */
// @ts-ignore: decorator
@inline
export function pageOf(pages: usize, position: i32): usize {
  return <usize>load<u32>(pages + (<usize>(position >> 6) << 2));
}

/** The low bytes of four 32-bit lanes in −128 … 255, as one number. */
// @ts-ignore: decorator
@inline
export function lane4(code: v128): u32 {
  const bytes = i8x16.shuffle(code, code, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
  return i32x4.extract_lane(bytes, 0);
}

/** Sum of four lanes as (0 + 2) + (1 + 3). */
// @ts-ignore: decorator
@inline
export function sum4(x: v128): f32 {
  const half = f32x4.add(x, i8x16.shuffle(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  return f32x4.extract_lane(half, 0) + f32x4.extract_lane(half, 1);
}

/** Largest of four lanes. */
// @ts-ignore: decorator
@inline
export function max4(x: v128): f32 {
  const half = f32x4.pmax(x, i8x16.shuffle(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  const a = f32x4.extract_lane(half, 0);
  const b = f32x4.extract_lane(half, 1);
  return a < b ? b : a;
}

/** Stores 4 × 4 numbers of 32 bits, rows `stride` bytes apart, whose columns are given. */
// @ts-ignore: decorator
@inline
export function storeTransposed(to: usize, stride: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab = i32x4.shuffle(a, b, 0, 4, 1, 5);
  const cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
  const ef = i32x4.shuffle(a, b, 2, 6, 3, 7);
  const gh = i32x4.shuffle(c, d, 2, 6, 3, 7);
  v128.store(to, i64x2.shuffle(ab, cd, 0, 2));
  v128.store(to + stride, i64x2.shuffle(ab, cd, 1, 3));
  v128.store(to + 2 * stride, i64x2.shuffle(ef, gh, 0, 2));
  v128.store(to + 3 * stride, i64x2.shuffle(ef, gh, 1, 3));
}

/**
 * A constant as the engine cannot see it. V8 builds a vector constant from immediates wherever it is used, inside the
 * loop: three instructions each time, half the time of a softmax. `zero` is `opaqueZero()`, taken before the loop.
 */
// @ts-ignore: decorator
@inline
export function hoisted(constant: v128, zero: v128): v128 {
  return v128.or(constant, zero);
}

/** Zero in every lane: a memory never has 2¹⁷ pages. */
// @ts-ignore: decorator
@inline
export function opaqueZero(): v128 {
  return i32x4.splat(memory.size() >>> 17);
}

/**
 * Reads a byte of every cache line of four streams, so that they are on their way together: WebAssembly has no prefetch,
 * what one KV head has in a page is too short for the prefetcher of a CPU to notice it, and four streams at once
 * are read nearly twice as fast as one after the other (16 against 9 GB/s on an AMD EPYC). No engine may leave a read out,
 * as it could trap.
 */
export function touch(a: usize, b: usize, c: usize, d: usize, bytes: usize): void {
  for (let at: usize = 0; at < bytes; at += 64) {
    load<u8>(a + at);
    load<u8>(b + at);
    load<u8>(c + at);
    load<u8>(d + at);
  }
}

/**
 * Touches one part of some pages.
 * @param some, others places in page tables; `count` pages from each on are read
 * @param part where a page has the part, `bytes` long
 */
export function touchParts(some: usize, others: usize, count: i32, part: usize, bytes: usize): void {
  for (let k = 0; k < count; k += 2, some += 8, others += 8) {
    const next: usize = k + 1 < count ? 4 : 0;
    touch(
      <usize>load<u32>(some) + part,
      <usize>load<u32>(some + next) + part,
      <usize>load<u32>(others) + part,
      <usize>load<u32>(others + next) + part,
      bytes,
    );
  }
}

/**
 * Touches `bytes` from each of `count` addresses on, of which sixteen, from all over the list, are read at once.
 * @param addresses u32 [count], and room for 15 more
 */
export function touchListed(addresses: usize, count: i32, bytes: usize): void {
  if (count == 0) return;
  const part = <usize>((count + 15) >> 4) << 2;
  const end = addresses + (<usize>count << 2);
  for (let at = end; at < end + 60; at += 4) store<u32>(at, load<u32>(end - 4));
  for (const stop = addresses + part; addresses < stop; addresses += 4)
    for (let i: usize = 0; i < bytes; i += 64) {
      touchEight(addresses, part, i);
      touchEight(addresses + 8 * part, part, i);
    }
}

/** Reads a byte `offset` bytes from eight addresses in a table, `stride` bytes apart. */
// @ts-ignore: decorator
@inline
export function touchEight(table: usize, stride: usize, offset: usize): void {
  load<u8>(<usize>load<u32>(table) + offset);
  load<u8>(<usize>load<u32>(table + stride) + offset);
  load<u8>(<usize>load<u32>(table + 2 * stride) + offset);
  load<u8>(<usize>load<u32>(table + 3 * stride) + offset);
  load<u8>(<usize>load<u32>(table + 4 * stride) + offset);
  load<u8>(<usize>load<u32>(table + 5 * stride) + offset);
  load<u8>(<usize>load<u32>(table + 6 * stride) + offset);
  load<u8>(<usize>load<u32>(table + 7 * stride) + offset);
}
