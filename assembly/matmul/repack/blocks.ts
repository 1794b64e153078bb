// One GGUF block of 32 columns into row `lane` of a panel. False where its f16 scales are not finite.
import { packCodes, packNibbles, packQ8Block } from "./pack";
import { floatFromF16 } from "../numbers";

// @ts-ignore: decorator
@inline
export function isFinite16(bits: u32): bool {
  return (bits & 0x7c00) != 0x7c00;
}

/** Q4_0 to `q4`. */
// @ts-ignore: decorator
@inline
export function q4_0(block: usize, lane: i32, source: usize): bool {
  const d = load<u16>(source);
  if (!isFinite16(d)) return false;
  store<u16>(block + (lane << 1), d);
  packNibbles(block + 16, lane, source + 2);
  return true;
}

/** Q4_1 to `q4min`. */
// @ts-ignore: decorator
@inline
export function q4_1(block: usize, lane: i32, source: usize): bool {
  const d = load<u16>(source);
  const m = load<u16>(source, 2);
  if (!isFinite16(d) || !isFinite16(m)) return false;
  store<u16>(block + (lane << 1), d);
  store<u16>(block + (lane << 1), m, 16);
  packNibbles(block + 32, lane, source + 4);
  return true;
}

/** Q8_0 to `q8`. */
// @ts-ignore: decorator
@inline
export function q8_0(block: usize, lane: i32, source: usize): bool {
  const d = load<u16>(source);
  if (!isFinite16(d)) return false;
  packQ8Block(block, lane, d, source + 2);
  return true;
}

/** Five-bit codes of one block, 0 … 31, to 32 bytes. */
// @ts-ignore: decorator
@inline
function unpack5(to: usize, high: u32, nibbles: usize): void {
  for (let j = 0; j < 16; j++) {
    const byte = <i32>load<u8>(nibbles + j);
    store<u8>(to + j, (byte & 15) | (((high >> j) & 1) << 4));
    store<u8>(to + j, (byte >> 4) | (((high >> (j + 16)) & 1) << 4), 16);
  }
}

/** Q5_0 to `q8`: codes −16 … 15 with the same scale. */
// @ts-ignore: decorator
@inline
export function q5_0(block: usize, lane: i32, source: usize, temp: usize): bool {
  const d = load<u16>(source);
  if (!isFinite16(d)) return false;
  unpack5(temp, load<u32>(source, 2), source + 6);
  v128.store(temp, i8x16.sub(v128.load(temp), i8x16.splat(16)));
  v128.store(temp, i8x16.sub(v128.load(temp, 16), i8x16.splat(16)), 16);
  packQ8Block(block, lane, d, temp);
  return true;
}

/** Q5_1 to `codes`. */
// @ts-ignore: decorator
@inline
export function q5_1(half: usize, lane: i32, source: usize, temp: usize): bool {
  const d = load<u16>(source);
  const m = load<u16>(source, 2);
  if (!isFinite16(d) || !isFinite16(m)) return false;
  unpack5(temp, load<u32>(source, 4), source + 8);
  packCodes(half, lane, floatFromF16(d), floatFromF16(m), temp);
  packCodes(half + 192, lane, floatFromF16(d), floatFromF16(m), temp + 16);
  return true;
}
