import { packChunks, unpackChunks } from "./chunks";
import { gatherKey, scatterKey, CHUNK, ELEMENT } from "./delta-store";
import { opaqueZero, PAGE } from "./layout";

// A packed part: the 64 references of one layer and KV head without what repeats.
//   element: u8 [headDim] of the first key; u16 [16 groups of 4 keys][headDim / 4] masks, bits [4 keys][4 elements] as in a
//            tile, of what changed from the key before; for each such code its exclusive or with the one before
//   chunk:   see chunks.ts
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
 * Packs a tile of references, or only counts: returns the bytes needed, a multiple of 4, of 16 in chunk and row grain.
 * Element grain is read in vectors that may reach 16 bytes beyond.
 * @param out 0 to count
 * @param work 2·headDim bytes, at least 64
 */
export function delta_pack(out: usize, tile: usize, headDim: i32, grain: i32, work: usize): i32 {
  const size = <usize>headDim;
  let now = work;
  let before = work + size;
  if (grain > CHUNK) {
    let bits: u64 = 0;
    let kept = 0;
    for (let key = 0; key < PAGE; key++) {
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
  if (grain == ELEMENT) return packElements(out, tile, size, work);
  return packChunks(out, tile, headDim, work);
}

/** `delta_pack` of element grain. */
function packElements(out: usize, tile: usize, size: usize, changes: usize): i32 {
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

/**
 * Unpacks references into a tile, element and chunk grain four keys at a time (products use row grain as it is).
 * @param table from `expand_table`
 * @param reference headDim bytes of work
 */
export function delta_unpack(
  tile: usize,
  packed: usize,
  headDim: i32,
  grain: i32,
  table: usize,
  reference: usize,
): void {
  const size = <usize>headDim;
  if (grain > CHUNK) {
    let kept = -1;
    for (let key = 0; key < PAGE; key++) {
      kept += <i32>((load<u64>(packed) >> key) & 1);
      gatherKey(reference, packed + 16, kept, headDim);
      scatterKey(tile, key, reference, headDim);
    }
    return;
  }
  const masks = packed + size;
  if (grain == ELEMENT) {
    const zero = opaqueZero();
    let mask = masks;
    let values = masks + (size << 3);
    let from = packed;
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
  unpackChunks(tile, packed, headDim);
}
