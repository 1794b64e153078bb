import { gatherKey, scatterKey, CHUNK, ELEMENT } from "./delta-store";
import { opaqueZero, TILE } from "./layout";

// A folded part: the 64 references of one layer and KV head without what repeats.
//   element: u8 [headDim] of the first key, then per key u8 [headDim / 8] bits of what changed, then the changed codes
//   chunk:   the same with one bit per 16 codes (u16), and whole chunks
//   row:     u64 bits of the keys that changed (bit 0 set), then those keys, in groups of 4 as in a tile

/**
 * Two tables for a byte m of a mask, 16 bytes per entry, 8,192 bytes. The sum of the entries of two bytes says for each of
 * their 16 bits how many ones are below it, or 128 and more where the bit is 0.
 * First: ranks of the bits of m, then 8 times how many ones m has. Second: 8 zeros, then ranks of the bits of m.
 */
export function expand_table(out: usize): void {
  for (let m = 0; m < 256; m++, out += 16) {
    let rank: u8 = 0;
    store<u64>(out + 4096, 0);
    for (let bit: usize = 0; bit < 8; bit++) {
      const code: u8 = (m >> <i32>bit) & 1 ? rank++ : 128;
      store<u8>(out + bit, code);
      store<u8>(out + bit, code, 4096 + 8);
    }
    for (let i: usize = 8; i < 16; i++) store<u8>(out + i, rank);
  }
}

/**
 * Folds a tile of references, or only counts: returns the bytes needed, a multiple of 16 with 16 bytes to spare.
 * @param out 0 to count
 * @param work 2·headDim bytes
 */
export function delta_fold(out: usize, tile: usize, headDim: i32, grain: i32, work: usize): i32 {
  const size = <usize>headDim;
  let now = work;
  let before = work + size;
  if (grain > CHUNK) {
    let bits: u64 = 0;
    let kept = 0;
    for (let key = 0; key < TILE; key++) {
      gatherKey(now, tile, key, headDim);
      if (key == 0 || memory.compare(now, before, size) != 0) {
        if (out) scatterKey(out + 16, kept, now, headDim);
        bits |= (<u64>1) << key;
        kept++;
      }
      const swap = now;
      now = before;
      before = swap;
    }
    if (out) store<u64>(out, bits);
    // Products take groups of keys by twos.
    return 16 + ((kept + 7) & ~7) * headDim + 16;
  }
  const maskBytes: usize = grain == ELEMENT ? size >> 3 : 2;
  gatherKey(before, tile, 0, headDim);
  if (out) memory.copy(out, before, size);
  let at = size + maskBytes * (TILE - 1);
  for (let key = 1; key < TILE; key++) {
    gatherKey(now, tile, key, headDim);
    const masks = out + size + maskBytes * <usize>(key - 1);
    let chunks = 0;
    for (let i: usize = 0; i < size; i += 16) {
      const codes = v128.load(now + i);
      const bits = i8x16.bitmask(i8x16.ne(codes, v128.load(before + i)));
      if (grain == ELEMENT) {
        if (out) {
          store<u16>(masks + (i >> 3), <u16>bits);
          let to = out + at;
          for (let rest = bits; rest; rest &= rest - 1) store<u8>(to++, load<u8>(now + i + <usize>ctz(rest)));
        }
        at += <usize>popcnt(bits);
      } else if (bits) {
        if (out) v128.store(out + at, codes);
        at += 16;
        chunks |= 1 << <i32>(i >> 4);
      }
    }
    if (out && grain == CHUNK) store<u16>(masks, <u16>chunks);
    const swap = now;
    now = before;
    before = swap;
  }
  return (<i32>at + 31) & ~15;
}

/** Address of the codes of a key, after those of `address`: its ones are counted in `bytes` bytes of mask. */
// @ts-ignore: decorator
@inline
function skipOnes(address: usize, mask: usize, bytes: usize): usize {
  let i: usize = 0;
  for (; i + 8 <= bytes; i += 8) address += <usize>popcnt(load<u64>(mask + i));
  for (; i < bytes; i += 2) address += <usize>popcnt(<u32>load<u16>(mask + i));
  return address;
}

/** `codes` with the changed ones, whose bits are in the u16 at `mask`, taken from `values` in order. */
// @ts-ignore: decorator
@inline
function patch(codes: v128, mask: usize, values: usize, table: usize, zero: v128): v128 {
  const first = table + (<usize>load<u8>(mask) << 4);
  const second = table + (<usize>load<u8>(mask, 1) << 4);
  const index = i8x16.add(v128.load(first), v128.load(second, 4096));
  return v128.or(v128.and(codes, i8x16.lt_s(index, zero)), i8x16.swizzle(v128.load(values), index));
}

/** Stores 16 codes of four keys in a row, as a tile has them: 4 codes of each key next to each other. */
// @ts-ignore: decorator
@inline
function storeFour(to: usize, a: v128, b: v128, c: v128, d: v128): void {
  const ab = i8x16.shuffle(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const cd = i8x16.shuffle(c, d, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const ef = i8x16.shuffle(a, b, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  const gh = i8x16.shuffle(c, d, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  v128.store(to, i8x16.shuffle(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23));
  v128.store(to, i8x16.shuffle(ab, cd, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31), 16);
  v128.store(to, i8x16.shuffle(ef, gh, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23), 32);
  v128.store(to, i8x16.shuffle(ef, gh, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31), 48);
}

/**
 * Unfolds element or chunk grain into a tile (row grain is used as it is), four keys at a time.
 * @param table from `expand_table`
 * @param reference headDim bytes of work
 */
export function delta_unfold(
  tile: usize,
  folded: usize,
  headDim: i32,
  grain: i32,
  table: usize,
  reference: usize,
): void {
  const size = <usize>headDim;
  const masks = folded + size;
  if (grain == ELEMENT) {
    memory.copy(reference, folded, size);
    const zero = opaqueZero();
    const maskBytes = size >> 3;
    let values = masks + maskBytes * (TILE - 1);
    for (let key: usize = 0; key < <usize>TILE; key += 4) {
      // The first key of the block is stored whole and has no mask.
      const mask1 = masks + maskBytes * key;
      const mask0 = mask1 - maskBytes;
      const mask2 = mask1 + maskBytes;
      const mask3 = mask2 + maskBytes;
      let values0 = values;
      let values1 = key ? skipOnes(values0, mask0, maskBytes) : values0;
      let values2 = skipOnes(values1, mask1, maskBytes);
      let values3 = skipOnes(values2, mask2, maskBytes);
      values = skipOnes(values3, mask3, maskBytes);
      for (let i: usize = 0; i < size; i += 16, tile += 64) {
        const m = i >> 3;
        let a = v128.load(reference + i);
        if (key) {
          a = patch(a, mask0 + m, values0, table, zero);
          values0 += <usize>popcnt(<u32>load<u16>(mask0 + m));
        }
        const b = patch(a, mask1 + m, values1, table, zero);
        values1 += <usize>popcnt(<u32>load<u16>(mask1 + m));
        const c = patch(b, mask2 + m, values2, table, zero);
        values2 += <usize>popcnt(<u32>load<u16>(mask2 + m));
        const d = patch(c, mask3 + m, values3, table, zero);
        values3 += <usize>popcnt(<u32>load<u16>(mask3 + m));
        v128.store(reference + i, d);
        storeFour(tile, a, b, c, d);
      }
    }
    return;
  }
  // Whether a chunk changed is close to random: choosing an address costs less than a branch guessed wrong. Chunks are read
  // where they were stored last; `reference` has the addresses.
  for (let i: usize = 0; i < size; i += 16) store<u32>(reference + (i >> 2), <u32>(folded + i));
  let values = masks + 2 * (TILE - 1);
  for (let key: usize = 0; key < <usize>TILE; key += 4) {
    const mask = masks + 2 * key;
    let bits0 = key ? <u32>load<u16>(mask - 2) : 0;
    let bits1 = <u32>load<u16>(mask);
    let bits2 = <u32>load<u16>(mask, 2);
    let bits3 = <u32>load<u16>(mask, 4);
    let values0 = values;
    let values1 = values0 + (<usize>popcnt(bits0) << 4);
    let values2 = values1 + (<usize>popcnt(bits1) << 4);
    let values3 = values2 + (<usize>popcnt(bits2) << 4);
    values = values3 + (<usize>popcnt(bits3) << 4);
    for (let i: usize = 0; i < size; i += 16, tile += 64) {
      const a = bits0 & 1 ? values0 : <usize>load<u32>(reference + (i >> 2));
      values0 += <usize>(bits0 & 1) << 4;
      const b = bits1 & 1 ? values1 : a;
      values1 += <usize>(bits1 & 1) << 4;
      const c = bits2 & 1 ? values2 : b;
      values2 += <usize>(bits2 & 1) << 4;
      const d = bits3 & 1 ? values3 : c;
      values3 += <usize>(bits3 & 1) << 4;
      store<u32>(reference + (i >> 2), <u32>d);
      storeFour(tile, v128.load(a), v128.load(b), v128.load(c), v128.load(d));
      bits0 >>= 1;
      bits1 >>= 1;
      bits2 >>= 1;
      bits3 >>= 1;
    }
  }
}
