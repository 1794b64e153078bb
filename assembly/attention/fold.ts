import { gatherKey, scatterKey, CHUNK, ELEMENT } from "./delta-store";
import { opaqueZero, TILE } from "./layout";

// A folded part: the 64 references of one layer and KV head without what repeats.
//   element: u8 [headDim] of the first key; u16 [16 groups of 4 keys][headDim / 4] masks, bits [4 keys][4 elements] as in a
//            tile, of what changed from the key before; for each such code its exclusive or with the one before
//   chunk:   u8 [headDim] of the first key, then one bit per 16 codes, `chunkBits` for each of the 64 keys (none set for the
//            first), then the changed chunks
//   row:     u64 bits of the keys that changed (bit 0 set), then those keys, in groups of 4 as in a tile

/** Where `expand_table` has the table for four bits. */
const FOUR_BITS: usize = 8192;

/**
 * Two tables for a byte m of a mask, 16 bytes per entry, 8,192 bytes. The sum of the entries of two bytes says for each of
 * their 16 bits how many ones are below it, or 128 and more where the bit is 0.
 * First: ranks of the bits of m, then 8 times how many ones m has. Second: 8 zeros, then ranks of the bits of m.
 * Then 16 entries of 32 bytes for four bits m: u32 16·(ones below it) for each bit, and u32 −1 for each one, 0 for each zero.
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
  out += FOUR_BITS - 4096;
  for (let m = 0; m < 16; m++, out += 32)
    for (let bit = 0, at = out; bit < 4; bit++, at += 4) {
      store<u32>(at, popcnt(m & ((1 << bit) - 1)) << 4);
      store<i32>(at, -((m >> bit) & 1), 16);
    }
}

/** Addresses of four chunks of a key: of those whose bit is set in `values`, in order; of the others as before. */
// @ts-ignore: decorator
@inline
function sources(before: v128, values: usize, bits: u32, table: usize): v128 {
  const entry = table + <usize>((bits & 15) << 5);
  return v128.bitselect(
    i32x4.add(i32x4.splat(<i32>values), v128.load(entry, FOUR_BITS)), before, v128.load(entry, FOUR_BITS + 16));
}

/** Bits of mask per key in chunk grain: 4, 8 or 16. */
// @ts-ignore: decorator
@inline
function chunkBits(headDim: i32): i32 {
  return headDim <= 64 ? 4 : headDim <= 128 ? 8 : 16;
}

/**
 * Folds a tile of references, or only counts: returns the bytes needed, a multiple of 4, of 16 in chunk and row grain.
 * Element grain is read in vectors that may reach 16 bytes beyond.
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
    return 16 + ((kept + 7) & ~7) * headDim;
  }
  if (grain == ELEMENT) return foldElements(out, tile, size, work);
  gatherKey(before, tile, 0, headDim);
  if (out) memory.copy(out, before, size);
  const bitsPerKey = chunkBits(headDim);
  let at = size + (<usize>bitsPerKey << 3);
  let masks: u64 = 0;
  for (let key = 1; key < TILE; key++) {
    gatherKey(now, tile, key, headDim);
    let chunks = 0;
    for (let i: usize = 0; i < size; i += 16) {
      const codes = v128.load(now + i);
      if (!v128.any_true(v128.xor(codes, v128.load(before + i)))) continue;
      if (out) v128.store(out + at, codes);
      at += 16;
      chunks |= 1 << <i32>(i >> 4);
    }
    // Four keys' masks at a time: 2, 4 or 8 bytes.
    masks |= (<u64>chunks) << ((key & 3) * bitsPerKey);
    if ((key & 3) == 3) {
      if (out) {
        const to = out + size + ((<usize>(key >> 2) * <usize>bitsPerKey) >> 1);
        if (bitsPerKey == 4) store<u16>(to, <u16>masks);
        else if (bitsPerKey == 8) store<u32>(to, <u32>masks);
        else store<u64>(to, masks);
      }
      masks = 0;
    }
    const swap = now;
    now = before;
    before = swap;
  }
  return <i32>at;
}

/** `delta_fold` of element grain. */
function foldElements(out: usize, tile: usize, size: usize, changes: usize): i32 {
  if (out) gatherKey(out, tile, 0, <i32>size);
  let at = size + (size << 3);
  const end = tile + (size << 6);
  for (let from = tile, mask = out + size; from < end; from += 16, mask += 2) {
    const codes = v128.load(from);
    // The first key has changed from nothing, and is stored whole.
    const last = from < tile + (size << 2) ? from : from - (size << 2) + 12;
    const before = i8x16.shuffle(v128.load32_splat(last), codes, 0, 1, 2, 3, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27);
    const change = v128.xor(codes, before);
    const bits = i8x16.bitmask(i8x16.ne(change, i8x16.splat(0)));
    if (out) {
      store<u16>(mask, <u16>bits);
      v128.store(changes, change);
      let to = out + at;
      for (let rest = bits; rest; rest &= rest - 1) store<u8>(to++, load<u8>(changes + <usize>ctz(rest)));
    }
    at += <usize>popcnt(bits);
  }
  return (<i32>at + 3) & ~3;
}

/** Stores 4 codes of four keys: what changed from key to key, `bits` saying where, on top of those of the key before them. */
// @ts-ignore: decorator
@inline
function storeChanged(to: usize, bits: u32, values: usize, before: v128, table: usize, zero: v128): void {
  const first = table + <usize>((bits & 255) << 4);
  const second = table + <usize>((bits >> 8) << 4);
  const index = i8x16.add(v128.load(first), v128.load(second, 4096));
  let x = i8x16.swizzle(v128.load(values), index);
  x = v128.xor(x, i8x16.shuffle(zero, x, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27));
  x = v128.xor(x, i8x16.shuffle(zero, x, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23));
  v128.store(to, v128.xor(x, before));
}

/** Four `storeChanged`; returns where the values after them are. */
// @ts-ignore: decorator
@inline
function storeRound(
  to: usize,
  mask: usize,
  values: usize,
  table: usize,
  zero: v128,
  a: v128,
  b: v128,
  c: v128,
  d: v128,
): usize {
  let bits = <u32>load<u16>(mask);
  storeChanged(to, bits, values, a, table, zero);
  values += <usize>popcnt(bits);
  bits = <u32>load<u16>(mask, 2);
  storeChanged(to + 16, bits, values, b, table, zero);
  values += <usize>popcnt(bits);
  bits = <u32>load<u16>(mask, 4);
  storeChanged(to + 32, bits, values, c, table, zero);
  values += <usize>popcnt(bits);
  bits = <u32>load<u16>(mask, 6);
  storeChanged(to + 48, bits, values, d, table, zero);
  return values + <usize>popcnt(bits);
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
 * Unfolds references into a tile, element and chunk grain four keys at a time (products use row grain as it is).
 * @param table from `expand_table`
 * @param reference 256 bytes of work
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
  if (grain > CHUNK) {
    let kept = -1;
    for (let key = 0; key < TILE; key++) {
      kept += <i32>((load<u64>(folded) >> key) & 1);
      gatherKey(reference, folded + 16, kept, headDim);
      scatterKey(tile, key, reference, headDim);
    }
    return;
  }
  const masks = folded + size;
  if (grain == ELEMENT) {
    const zero = opaqueZero();
    let mask = masks;
    let values = masks + (size << 3);
    let from = folded;
    // headDim is a multiple of 16: rounds of four, whose addresses differ by constants.
    for (; from < masks; from += 16, mask += 8, tile += 64)
      values = storeRound(
        tile, mask, values, table, zero,
        v128.load32_splat(from), v128.load32_splat(from, 4), v128.load32_splat(from, 8), v128.load32_splat(from, 12));
    const row = size << 2;
    for (from = tile - row; from < tile + 14 * row; from += 64, mask += 8)
      values = storeRound(
        from + row, mask, values, table, zero,
        v128.load32_splat(from, 12), v128.load32_splat(from, 28), v128.load32_splat(from, 44), v128.load32_splat(from, 60));
    return;
  }
  // Whether a chunk changed is close to random: choosing an address costs less than a branch guessed wrong. Chunks are read
  // where they were stored last: `now` has the addresses for four keys, and after it are those of the latest key.
  const now = reference;
  const latest = reference + 64;
  for (let i: usize = 0; i < size; i += 16) store<u32>(latest + (i >> 2), <u32>(folded + i));
  const bitsPerKey = chunkBits(headDim);
  const ones: u32 = (<u32>1 << bitsPerKey) - 1;
  let values = masks + (<usize>bitsPerKey << 3);
  for (let key: usize = 0; key < <usize>TILE; key += 4) {
    const at = masks + ((key * <usize>bitsPerKey) >> 3);
    const bits: u64 = bitsPerKey == 4 ? <u64>load<u16>(at) : bitsPerKey == 8 ? <u64>load<u32>(at) : load<u64>(at);
    let bits0 = <u32>bits & ones;
    let bits1 = <u32>(bits >> bitsPerKey) & ones;
    let bits2 = <u32>(bits >> (2 * bitsPerKey)) & ones;
    let bits3 = <u32>(bits >> (3 * bitsPerKey)) & ones;
    let values0 = values;
    let values1 = values0 + (<usize>popcnt(bits0) << 4);
    let values2 = values1 + (<usize>popcnt(bits1) << 4);
    let values3 = values2 + (<usize>popcnt(bits2) << 4);
    values = values3 + (<usize>popcnt(bits3) << 4);
    for (let i: usize = 0; i < size; i += 64) {
      const a = sources(v128.load(latest + (i >> 2)), values0, bits0, table);
      const b = sources(a, values1, bits1, table);
      const c = sources(b, values2, bits2, table);
      const d = sources(c, values3, bits3, table);
      v128.store(now, a);
      v128.store(now, b, 16);
      v128.store(now, c, 32);
      v128.store(now, d, 48);
      v128.store(latest + (i >> 2), d);
      const stop = now + min(64, size - i) / 4;
      for (let at = now; at < stop; at += 4, tile += 64)
        storeFour(
          tile,
          v128.load(<usize>load<u32>(at)),
          v128.load(<usize>load<u32>(at, 16)),
          v128.load(<usize>load<u32>(at, 32)),
          v128.load(<usize>load<u32>(at, 48)),
        );
      if (i + 64 >= size) break;
      values0 += <usize>popcnt(bits0 & 15) << 4;
      values1 += <usize>popcnt(bits1 & 15) << 4;
      values2 += <usize>popcnt(bits2 & 15) << 4;
      values3 += <usize>popcnt(bits3 & 15) << 4;
      bits0 >>= 4;
      bits1 >>= 4;
      bits2 >>= 4;
      bits3 >>= 4;
    }
  }
}
