// One GGUF K block of 256 columns into row `lane` of a panel. False where its f16 scales are not finite.
import { floatFromF16 } from "../numbers";
import { packCodes, packNibbles, packQ6Block } from "./pack";
import { isFinite16 } from "./blocks";

/** The 6-bit scale of sub-block `i` of a Q4_K or Q5_K block. */
// @ts-ignore: decorator
@inline
function scale6(scales: usize, i: i32): i32 {
  return i < 4
    ? <i32>load<u8>(scales + i) & 63
    : (<i32>load<u8>(scales + i + 4) & 15) | ((<i32>load<u8>(scales + i - 4) >> 6) << 4);
}

/** The 6-bit minimum of sub-block `i`. */
// @ts-ignore: decorator
@inline
function minimum6(scales: usize, i: i32): i32 {
  return i < 4
    ? <i32>load<u8>(scales + i + 4) & 63
    : (<i32>load<u8>(scales + i + 4) >> 4) | ((<i32>load<u8>(scales + i) >> 6) << 4);
}

/** Q4_K to `q4k`: scale d · sc, minimum −(dmin · mn). */
// @ts-ignore: decorator
@inline
export function q4_k(block: usize, lane: i32, source: usize, temp: usize): bool {
  if (!isFinite16(load<u16>(source)) || !isFinite16(load<u16>(source, 2))) return false;
  const d = floatFromF16(load<u16>(source));
  const dmin = floatFromF16(load<u16>(source, 2));
  for (let s = 0; s < 8; s++, block += 192) {
    store<f32>(block + (lane << 2), d * <f32>scale6(source + 4, s));
    store<f32>(block + (lane << 2), -(dmin * <f32>minimum6(source + 4, s)), 32);
    const from = source + 16 + ((s >> 1) << 5);
    const shift = (s & 1) << 2;
    const mask = i8x16.splat(15);
    const low = v128.and(i16x8.shr_u(v128.load(from), shift), mask);
    const high = v128.and(i16x8.shr_u(v128.load(from, 16), shift), mask);
    v128.store(temp, v128.or(low, i16x8.shl(high, 4)));
    packNibbles(block + 64, lane, temp);
  }
  return true;
}

/** Q5_K to `codes`. */
// @ts-ignore: decorator
@inline
export function q5_k(half: usize, lane: i32, source: usize, temp: usize): bool {
  if (!isFinite16(load<u16>(source)) || !isFinite16(load<u16>(source, 2))) return false;
  const d = floatFromF16(load<u16>(source));
  const dmin = floatFromF16(load<u16>(source, 2));
  for (let s = 0; s < 8; s++, half += 384) {
    const scale: f32 = d * <f32>scale6(source + 4, s);
    const minimum: f32 = -(dmin * <f32>minimum6(source + 4, s));
    const nibbles = source + 48 + ((s >> 1) << 5);
    for (let l: usize = 0; l < 32; l += 16) {
      const low = v128.and(i16x8.shr_u(v128.load(nibbles + l), (s & 1) << 2), i8x16.splat(15));
      const fifth = v128.and(i16x8.shr_u(v128.load(source + l, 16), s), i8x16.splat(1));
      v128.store(temp + l, v128.or(low, i16x8.shl(fifth, 4)));
    }
    packCodes(half, lane, scale, minimum, temp);
    packCodes(half + 192, lane, scale, minimum, temp + 16);
  }
  return true;
}

/** Q6_K to `q6`. */
// @ts-ignore: decorator
@inline
export function q6_k(block: usize, lane: i32, source: usize, temp: usize): bool {
  const d = load<u16>(source, 208);
  if (!isFinite16(d)) return false;
  for (let s = 0; s < 8; s++, block += 224) {
    // 32 columns: half n of the block of 256, quarter k of that half.
    const n = s >> 2;
    const k = s & 3;
    for (let part = 0; part < 32; part += 16) {
      const low = v128.load(source + (n << 6) + ((k & 1) << 5) + part);
      const high = v128.load(source + 128 + (n << 5) + part);
      const lowBits = v128.and(i16x8.shr_u(low, (k >> 1) << 2), i8x16.splat(15));
      const highBits = v128.and(i16x8.shr_u(high, k << 1), i8x16.splat(3));
      v128.store(temp + part, v128.or(lowBits, i16x8.shl(highBits, 4)));
    }
    const factors = source + 192 + (s << 1);
    packQ6Block(block, lane, d, load<i8>(factors), load<i8>(factors, 1), temp);
  }
  return true;
}

/** Q2_K to `codes`: 4-bit scale and minimum per 16 columns. */
// @ts-ignore: decorator
@inline
export function q2_k(half: usize, lane: i32, source: usize, temp: usize): bool {
  if (!isFinite16(load<u16>(source, 80)) || !isFinite16(load<u16>(source, 82))) return false;
  const d = floatFromF16(load<u16>(source, 80));
  const dmin = floatFromF16(load<u16>(source, 82));
  for (let s = 0; s < 16; s++, half += 192) {
    const parameters = <i32>load<u8>(source + s);
    const codes = v128.load(source + 16 + ((s >> 3) << 5) + ((s & 1) << 4));
    v128.store(temp, v128.and(i16x8.shr_u(codes, ((s >> 1) & 3) << 1), i8x16.splat(3)));
    packCodes(half, lane, d * <f32>(parameters & 15), -(dmin * <f32>(parameters >> 4)), temp);
  }
  return true;
}

/** Q3_K to `q6`: 6-bit signed scale per 16 columns, value = d · sc · (code − 4), so the codes are 28 larger. */
// @ts-ignore: decorator
@inline
export function q3_k(block: usize, lane: i32, source: usize, temp: usize): bool {
  const d = load<u16>(source, 108);
  if (!isFinite16(d)) return false;
  for (let s = 0; s < 8; s++, block += 224) {
    for (let part = 0; part < 32; part += 16) {
      const codes = v128.load(source + 32 + ((s >> 2) << 5) + part);
      const two = v128.and(i16x8.shr_u(codes, (s & 3) << 1), i8x16.splat(3));
      const third = v128.and(i16x8.shr_u(v128.load(source + part), s), i8x16.splat(1));
      v128.store(temp + part, i8x16.add(v128.or(two, i16x8.shl(third, 2)), i8x16.splat(28)));
    }
    packQ6Block(block, lane, d, scale3(source + 96, s << 1), scale3(source + 96, (s << 1) + 1), temp);
  }
  return true;
}

/** The 6-bit scale of 16 columns of a Q3_K block, −32 … 31. */
// @ts-ignore: decorator
@inline
function scale3(scales: usize, s: i32): i32 {
  const low = (<i32>load<u8>(scales + (s & 7)) >> ((s >> 3) << 2)) & 15;
  const high = (<i32>load<u8>(scales + 8 + (s & 3)) >> ((s >> 2) << 1)) & 3;
  return (low | (high << 4)) - 32;
}
