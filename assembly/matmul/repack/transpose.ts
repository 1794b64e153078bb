// All ternary file formats hold four codes per byte that go to four different places, while a unit of the layout
// `ternary` takes four codes of its own row per byte: a transposition of 4 × 4 fields of 2 bits.
import { hiddenWords } from "../opaque";

/** Masks of `transposeFields`, built once per kernel. */
// @ts-ignore: decorator
@inline
export function lanesOf(first: i32, second: i32, third: i32, fourth: i32): v128 {
  return i32x4.replace_lane(
    i32x4.replace_lane(i32x4.replace_lane(hiddenWords(first), 1, second), 2, third),
    3,
    fourth,
  );
}

/**
 * Field f (bits 2f, 2f + 1) of byte c in lane s → field s of byte c in lane f: what the four fields of 16 neighbouring
 * bytes make as units of 16 columns. The masks: 0x0f in lanes 0 and 1, 0xf0 in the others; all ones in lanes 0 and 1;
 * 0x33 in lanes 0 and 2, 0xcc in the others; all ones in lanes 0 and 2.
 */
// @ts-ignore: decorator
@inline
export function transposeFields(v: v128, nibbles: v128, firstTwo: v128, pairs: v128, even: v128): v128 {
  const far = v128.shuffle<i32>(v, v, 2, 3, 0, 1);
  const half = v128.bitselect(v, v128.bitselect(i32x4.shl(far, 4), i32x4.shr_u(far, 4), firstTwo), nibbles);
  const near = v128.shuffle<i32>(half, half, 1, 0, 3, 2);
  return v128.bitselect(half, v128.bitselect(i32x4.shl(near, 2), i32x4.shr_u(near, 2), even), pairs);
}

/** Bits set where a byte holds a code 3. */
// @ts-ignore: decorator
@inline
export function code3(v: v128, low: v128): v128 {
  return v128.and(v128.and(v, i16x8.shr_u(v, 1)), low);
}

/** Where the units of a row begin; they are 32 bytes apart. */
// @ts-ignore: decorator
@inline
export function unitsOfRow(weights: usize, padded: i32, row: i32): usize {
  return weights + <usize>(row >> 3) * (padded << 1) + ((row & 7) << 2);
}
