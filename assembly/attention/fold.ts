import { gatherKey, scatterKey, CHUNK, ELEMENT } from "./delta-store";
import { TILE } from "./layout";

// A folded part: the 64 references of one layer and KV head without what repeats.
//   element: u8 [headDim] of the first key, then per key u8 [headDim / 8] bits of what changed, then the changed codes
//   chunk:   the same with one bit per 16 codes (u16), and whole chunks
//   row:     u64 bits of the keys that changed (bit 0 set), then those keys, in groups of 4 as in a tile

/** Entry m, 8 bytes: for each bit of m, how many ones are below it, or 128 where the bit is 0. 2,048 bytes. */
export function expand_table(out: usize): void {
  for (let m = 0; m < 256; m++) {
    let rank: u8 = 0;
    for (let bit = 0; bit < 8; bit++, out++) store<u8>(out, (m >> bit) & 1 ? rank++ : 128);
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

/** Writes 16 codes of key `slot` into a tile, `to` being the place of the key's first code of this chunk. */
// @ts-ignore: decorator
@inline
function scatterChunk(to: usize, codes: v128): void {
  v128.store32_lane(to, codes, 0);
  v128.store32_lane(to, codes, 1, 16);
  v128.store32_lane(to, codes, 2, 32);
  v128.store32_lane(to, codes, 3, 48);
}

/**
 * Unfolds element or chunk grain into a tile (row grain is used as it is).
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
  memory.copy(reference, folded, size);
  scatterKey(tile, 0, reference, headDim);
  const maskBytes: usize = grain == ELEMENT ? size >> 3 : 2;
  let masks = folded + size;
  let values = masks + maskBytes * (TILE - 1);
  for (let key = 1; key < TILE; key++, masks += maskBytes) {
    let to = tile + <usize>(key >> 2) * (size << 2) + (<usize>(key & 3) << 2);
    if (grain == ELEMENT) {
      for (let i: usize = 0; i < size; i += 16, to += 64) {
        let codes = v128.load(reference + i);
        const bits = <u32>load<u16>(masks + (i >> 3));
        if (bits) {
          const first = <usize>(bits & 255);
          const ones = popcnt(<u32>first);
          let index = v128.load64_zero(table + (first << 3));
          index = v128.load64_lane(table + (<usize>(bits >> 8) << 3), index, 1);
          index = i8x16.add(index, i64x2.replace_lane(i64x2.splat(0), 1, 0x0101010101010101 * <i64>ones));
          const keep = i8x16.shr_s(index, 7);
          codes = v128.bitselect(codes, i8x16.swizzle(v128.load(values), index), keep);
          v128.store(reference + i, codes);
          values += <usize>popcnt(bits);
        }
        scatterChunk(to, codes);
      }
    } else {
      let bits = <u32>load<u16>(masks);
      for (let i: usize = 0; i < size; i += 16, to += 64, bits >>= 1) {
        if (bits & 1) {
          v128.store(reference + i, v128.load(values));
          values += 16;
        }
        scatterChunk(to, v128.load(reference + i));
      }
    }
  }
}
