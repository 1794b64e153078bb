// Activations as 8-bit codes. Padding columns get code 0.
import { recordBytes } from "./blocks";

/** Stores four codes (i32 lanes) in both forms: bytes in order, 16 bits in the order 0, 2, 1, 3. */
// @ts-ignore: decorator
@inline
function storeCodes(bytes: usize, pairs: usize, codes: v128): void {
  const narrow = i16x8.narrow_i32x4_s(codes, codes);
  v128.store64_lane(pairs, v128.shuffle<i16>(narrow, narrow, 0, 2, 1, 3, 0, 2, 1, 3), 0);
  v128.store32_lane(bytes, i8x16.narrow_i16x8_s(narrow, narrow), 0);
}

/** round(x · scale), half to even, within −127 … 127. */
// @ts-ignore: decorator
@inline
function quantise(x: v128, scale: v128): v128 {
  const codes = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(x, scale)));
  return i32x4.max_s(i32x4.splat(-127), i32x4.min_s(i32x4.splat(127), codes));
}

// @ts-ignore: decorator
@inline
function maxAcross(value: v128): f32 {
  return max(
    max(f32x4.extract_lane(value, 0), f32x4.extract_lane(value, 1)),
    max(f32x4.extract_lane(value, 2), f32x4.extract_lane(value, 3)),
  );
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

/**
 * One scale per token: x f32 [tokens][columns] → per token { f32 scale = 127 / max(max|x|, 1e-5), i32 Σ codes, 8 bytes,
 * i8 codes [padded], i16 codes [padded] }, padded = columns rounded up to 32. Codes round half to even; NaN anywhere
 * makes the scale NaN.
 */
export function quantise_per_token(out: usize, x: usize, tokens: i32, columns: i32): void {
  const padded = (columns + 31) & ~31;
  for (let t = 0; t < tokens; t++) {
    let largest = f32x4.splat(0);
    for (let i = 0; i < columns; i += 4) largest = f32x4.max(largest, f32x4.abs(loadUpTo(x, i, columns)));
    const scale: f32 = 127.0 / max<f32>(maxAcross(largest), 1e-5);
    const factor = f32x4.splat(scale);
    const bytes = out + 16;
    const pairs = bytes + padded;
    let sum = i32x4.splat(0);
    for (let i = 0; i < padded; i += 4) {
      const codes = quantise(loadUpTo(x, i, columns), factor);
      sum = i32x4.add(sum, codes);
      storeCodes(bytes + i, pairs + ((<usize>i) << 1), codes);
    }
    store<f32>(out, scale);
    store<i32>(out, sumAcross(sum), 4);
    store<i64>(out, 0, 8);
    out += <usize>(16 + 3 * padded);
    x += (<usize>columns) << 2;
  }
}

/**
 * One scale per 32 columns: x f32 [tokens][columns] → per token { i8 codes [padded], i16 codes [padded], per block
 * { f32 scale = max|x| / 127, f32 Σ codes, f32 Σ of the first 16, f32 Σ of the last 16 } }. code = x · (127 / max|x|)
 * rounded half to even; a block below 1e-30 counts as zeros. Records are `recordBytes` apart.
 */
export function quantise_per_block(out: usize, x: usize, tokens: i32, columns: i32): void {
  const padded = (columns + 31) & ~31;
  for (let t = 0; t < tokens; t++) {
    const pairs = out + padded;
    let parameters = pairs + ((<usize>padded) << 1);
    for (let start = 0; start < padded; start += 32) {
      let largest = f32x4.splat(0);
      for (let i = start; i < start + 32; i += 4) largest = f32x4.max(largest, f32x4.abs(loadUpTo(x, i, columns)));
      const top = maxAcross(largest);
      const factor = f32x4.splat(top < 1e-30 ? 0 : <f32>127.0 / top);
      let low = i32x4.splat(0);
      let high = i32x4.splat(0);
      for (let i = start; i < start + 32; i += 4) {
        const codes = quantise(loadUpTo(x, i, columns), factor);
        if (i < start + 16) low = i32x4.add(low, codes);
        else high = i32x4.add(high, codes);
        storeCodes(out + i, pairs + ((<usize>i) << 1), codes);
      }
      const first = sumAcross(low);
      const last = sumAcross(high);
      store<f32>(parameters, top / <f32>127.0);
      store<f32>(parameters, <f32>(first + last), 4);
      store<f32>(parameters, <f32>first, 8);
      store<f32>(parameters, <f32>last, 12);
      parameters += 16;
    }
    out += recordBytes(padded);
    x += (<usize>columns) << 2;
  }
}
