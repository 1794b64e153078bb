// Activations as 8-bit codes. Padding columns get code 0.
import { recordBytes } from "./blocks";
import { hiddenShorts, hiddenWords } from "./opaque";

/** 1.5 · 2^23: adding it rounds half to even and leaves the integer in the low bits. */
const ROUNDER: i32 = 0x4b400000;

/** round(x · scale), half to even, as i32; for |x · scale| < 2^22, which the choice of the scale assures. */
// @ts-ignore: decorator
@inline
function quantise(x: v128, scale: v128, rounder: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(x, scale), rounder), rounder);
}

/** Stores eight codes (i16 lanes) in the order 0, 2, 1, 3 of every four. */
// @ts-ignore: decorator
@inline
function storePairs(pairs: usize, codes: v128): void {
  v128.store(pairs, v128.shuffle<i16>(codes, codes, 0, 2, 1, 3, 4, 6, 5, 7));
}

/** Stores eight codes in both forms: bytes in order, and as `storePairs`. */
// @ts-ignore: decorator
@inline
function storeCodes(bytes: usize, pairs: usize, codes: v128): void {
  storePairs(pairs, codes);
  v128.store64_lane(bytes, i8x16.narrow_i16x8_s(codes, codes), 0);
}

/** The largest magnitude of four, from bits without sign, which are ordered like magnitudes; NaN counts as largest. */
// @ts-ignore: decorator
@inline
function maxAcross(bits: v128): f32 {
  const two = i32x4.max_s(bits, v128.shuffle<i32>(bits, bits, 2, 3, 0, 1));
  return reinterpret<f32>(i32x4.extract_lane(i32x4.max_s(two, v128.shuffle<i32>(two, two, 1, 0, 3, 2)), 0));
}

// @ts-ignore: decorator
@inline
function sumAcross(value: v128): i32 {
  return (
    i32x4.extract_lane(value, 0) +
    i32x4.extract_lane(value, 1) +
    i32x4.extract_lane(value, 2) +
    i32x4.extract_lane(value, 3)
  );
}

/** Four numbers from `x`, of which `count` exist; zeros for the rest. */
// @ts-ignore: decorator
@inline
function loadFew(x: usize, count: i32): v128 {
  let value = f32x4.splat(0);
  if (count > 0) value = f32x4.replace_lane(value, 0, load<f32>(x));
  if (count > 1) value = f32x4.replace_lane(value, 1, load<f32>(x, 4));
  if (count > 2) value = f32x4.replace_lane(value, 2, load<f32>(x, 8));
  if (count > 3) value = f32x4.replace_lane(value, 3, load<f32>(x, 12));
  return value;
}

// @ts-ignore: decorator
@inline
function loadUpTo(x: usize, i: i32, columns: i32): v128 {
  return i + 4 <= columns ? v128.load(x + ((<usize>i) << 2)) : loadFew(x + ((<usize>i) << 2), columns - i);
}

/** Eight numbers of a row as codes; columns behind its end are zeros. */
// @ts-ignore: decorator
@inline
function eight(x: usize, i: i32, columns: i32, factor: v128, rounder: v128): v128 {
  return i16x8.narrow_i32x4_s(
    quantise(loadUpTo(x, i, columns), factor, rounder),
    quantise(loadUpTo(x, i + 4, columns), factor, rounder),
  );
}

/**
 * One scale per token: x f32 [tokens][columns] → per token { f32 scale = 127 / max(max|x|, 1e-5), i32 Σ codes, 8 bytes,
 * i8 codes [padded], i16 codes [padded] }, padded = columns rounded up to 32. Codes round half to even; a NaN or
 * an infinity anywhere makes the scale NaN.
 */
export function quantise_per_token(out: usize, x: usize, tokens: i32, columns: i32): void {
  const padded = (columns + 31) & ~31;
  const whole = columns & ~15;
  const magnitude = hiddenWords(0x7fffffff);
  const rounder = hiddenWords(ROUNDER);
  const ones = hiddenShorts(1);
  for (let t = 0; t < tokens; t++) {
    let largest = i32x4.splat(0);
    let other = largest;
    let i = 0;
    for (let at = x; i < whole; i += 16, at += 64) {
      largest = i32x4.max_s(largest, v128.and(v128.load(at), magnitude));
      other = i32x4.max_s(other, v128.and(v128.load(at, 16), magnitude));
      largest = i32x4.max_s(largest, v128.and(v128.load(at, 32), magnitude));
      other = i32x4.max_s(other, v128.and(v128.load(at, 48), magnitude));
    }
    for (; i < columns; i += 4) largest = i32x4.max_s(largest, v128.and(loadUpTo(x, i, columns), magnitude));
    const top = maxAcross(i32x4.max_s(largest, other));
    const scale: f32 = top < Infinity ? <f32>127.0 / max<f32>(top, 1e-5) : NaN;
    const factor = f32x4.splat(scale);
    const bytes = out + 16;
    const pairs = bytes + padded;
    let sum = i32x4.splat(0);
    let to = pairs;
    for (i = 0; i < whole; i += 16, to += 32) {
      const at = x + ((<usize>i) << 2);
      const a = i16x8.narrow_i32x4_s(
        quantise(v128.load(at), factor, rounder), quantise(v128.load(at, 16), factor, rounder),
      );
      const b = i16x8.narrow_i32x4_s(
        quantise(v128.load(at, 32), factor, rounder), quantise(v128.load(at, 48), factor, rounder),
      );
      sum = i32x4.add(sum, i32x4.add(i32x4.dot_i16x8_s(a, ones), i32x4.dot_i16x8_s(b, ones)));
      v128.store(bytes + i, i8x16.narrow_i16x8_s(a, b));
      v128.store(to, v128.shuffle<i16>(a, a, 0, 2, 1, 3, 4, 6, 5, 7));
      v128.store(to, v128.shuffle<i16>(b, b, 0, 2, 1, 3, 4, 6, 5, 7), 16);
    }
    for (; i < padded; i += 8) {
      const codes = eight(x, i, columns, factor, rounder);
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(codes, ones));
      storeCodes(bytes + i, pairs + ((<usize>i) << 1), codes);
    }
    store<f32>(out, scale);
    store<i32>(out, sumAcross(sum), 4);
    store<i64>(out, 0, 8);
    out += <usize>(16 + 3 * padded);
    x += (<usize>columns) << 2;
  }
}

/** Stores what goes with a block whose codes are a, b, c, d. */
// @ts-ignore: decorator
@inline
function storeParameters(to: usize, top: f32, a: v128, b: v128, c: v128, d: v128, ones: v128): void {
  const first = i32x4.dot_i16x8_s(i16x8.add(a, b), ones);
  const last = i32x4.dot_i16x8_s(i16x8.add(c, d), ones);
  const some = i32x4.add(v128.shuffle<i32>(first, last, 0, 4, 1, 5), v128.shuffle<i32>(first, last, 2, 6, 3, 7));
  // Sums of the first 16, of the last, twice.
  const both = i32x4.add(some, v128.shuffle<i32>(some, some, 2, 3, 0, 1));
  const all = i32x4.add(both, v128.shuffle<i32>(both, both, 1, 0, 3, 2));
  v128.store(to, f32x4.convert_i32x4_s(v128.shuffle<i32>(all, both, 0, 1, 4, 5)));
  store<f32>(to, top < Infinity ? top / <f32>127.0 : NaN);
}

/**
 * One scale per 32 columns: x f32 [tokens][columns] → per token { i8 codes [padded], i16 codes [padded], per block
 * { f32 scale = max|x| / 127, f32 Σ codes, f32 Σ of the first 16, f32 Σ of the last 16 } }. code = x · (127 / max|x|)
 * rounded half to even; a block below 1e-30 counts as zeros, one with a NaN or
 * an infinity gets the scale NaN. Records are `recordBytes` apart.
 */
export function quantise_per_block(out: usize, x: usize, tokens: i32, columns: i32): void {
  const padded = (columns + 31) & ~31;
  const whole = columns & ~31;
  const magnitude = hiddenWords(0x7fffffff);
  const rounder = hiddenWords(ROUNDER);
  const ones = hiddenShorts(1);
  for (let t = 0; t < tokens; t++) {
    const pairs = out + padded;
    let parameters = pairs + ((<usize>padded) << 1);
    let start = 0;
    for (let at = x, to = pairs; start < whole; start += 32, at += 128, to += 64, parameters += 16) {
      const v0 = v128.load(at);
      const v1 = v128.load(at, 16);
      const v2 = v128.load(at, 32);
      const v3 = v128.load(at, 48);
      const v4 = v128.load(at, 64);
      const v5 = v128.load(at, 80);
      const v6 = v128.load(at, 96);
      const v7 = v128.load(at, 112);
      const low = i32x4.max_s(
        i32x4.max_s(v128.and(v0, magnitude), v128.and(v1, magnitude)),
        i32x4.max_s(v128.and(v2, magnitude), v128.and(v3, magnitude)),
      );
      const high = i32x4.max_s(
        i32x4.max_s(v128.and(v4, magnitude), v128.and(v5, magnitude)),
        i32x4.max_s(v128.and(v6, magnitude), v128.and(v7, magnitude)),
      );
      const top = maxAcross(i32x4.max_s(low, high));
      const factor = f32x4.splat(top < 1e-30 ? 0 : <f32>127.0 / top);
      const a = i16x8.narrow_i32x4_s(quantise(v0, factor, rounder), quantise(v1, factor, rounder));
      const b = i16x8.narrow_i32x4_s(quantise(v2, factor, rounder), quantise(v3, factor, rounder));
      const c = i16x8.narrow_i32x4_s(quantise(v4, factor, rounder), quantise(v5, factor, rounder));
      const d = i16x8.narrow_i32x4_s(quantise(v6, factor, rounder), quantise(v7, factor, rounder));
      v128.store(out + start, i8x16.narrow_i16x8_s(a, b));
      v128.store(out + start, i8x16.narrow_i16x8_s(c, d), 16);
      storePairs(to, a);
      storePairs(to + 16, b);
      storePairs(to + 32, c);
      storePairs(to + 48, d);
      storeParameters(parameters, top, a, b, c, d, ones);
    }
    for (; start < padded; start += 32) {
      let largest = i32x4.splat(0);
      for (let i = start; i < start + 32; i += 4)
        largest = i32x4.max_s(largest, v128.and(loadUpTo(x, i, columns), magnitude));
      const top = maxAcross(largest);
      const factor = f32x4.splat(top < 1e-30 ? 0 : <f32>127.0 / top);
      const a = eight(x, start, columns, factor, rounder);
      const b = eight(x, start + 8, columns, factor, rounder);
      const c = eight(x, start + 16, columns, factor, rounder);
      const d = eight(x, start + 24, columns, factor, rounder);
      const to = pairs + ((<usize>start) << 1);
      storeCodes(out + start, to, a);
      storeCodes(out + start + 8, to + 16, b);
      storeCodes(out + start + 16, to + 32, c);
      storeCodes(out + start + 24, to + 48, d);
      storeParameters(parameters, top, a, b, c, d, ones);
      parameters += 16;
    }
    out += recordBytes(padded);
    x += (<usize>columns) << 2;
  }
}
