// What the block layouts share. A row's result is Σ over blocks, in column order, of
//   (f32(Σ (code − zero) · x) · d) · xScale                  where a fixed code stands for zero,
//   ((f32(Σ code · x) · d) + (Σx · m)) · xScale              where blocks have a minimum,
// with exact integers in the inner sums; the same expression in every kernel, so the same bits.

/** The share of one block in four rows. */
// @ts-ignore: decorator
@inline
export function blockShare(dot: v128, d: v128, m: v128, sum: v128, xScale: v128): v128 {
  return f32x4.mul(f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(dot), d), f32x4.mul(sum, m)), xScale);
}

/** The same where code `zero` stands for 0; `offset` = zero · Σx. Integers below 2^24, so the difference is exact. */
// @ts-ignore: decorator
@inline
export function blockShareOffset(dot: v128, offset: v128, d: v128, xScale: v128): v128 {
  return f32x4.mul(f32x4.mul(f32x4.sub(f32x4.convert_i32x4_s(dot), offset), d), xScale);
}

/** The same with signed codes. */
// @ts-ignore: decorator
@inline
export function blockShareNoMin(dot: v128, d: v128, xScale: v128): v128 {
  return f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(dot), d), xScale);
}

/**
 * Distance of two tokens' records (`quantise_per_block`). The 320 bytes keep the records of a tile apart in the caches
 * when the columns are a power of two.
 */
// @ts-ignore: decorator
@inline
export function recordBytes(padded: i32): usize {
  return <usize>padded * 3 + (padded >> 1) + 320;
}

/** A 32-bit pair-sum of a 16-bit accumulator. */
// @ts-ignore: decorator
@inline
export function widened(sum: v128): v128 {
  return i32x4.extadd_pairwise_i16x8_s(sum);
}
