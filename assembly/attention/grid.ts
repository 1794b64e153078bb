import { sum4, touch } from "./layout";

/**
 * y = map(x) for `count` rows of d numbers. `matrix` = 1: map is d constants, then a d × d matrix, f32, stored by columns;
 * to the constants the products are added in the order of the columns. `matrix` = 0: map is d factors, then
 * d constants: y = x · factor + constant.
 * @param x f32; row r is number r mod `group` of token r / `group`, tokens `stride` bytes apart
 * @param y f32 [count][d]
 */
export function map_rows(
  y: usize,
  x: usize,
  stride: usize,
  count: i32,
  group: i32,
  map: usize,
  matrix: i32,
  headDim: i32,
): void {
  const bytes = <usize>headDim << 2;
  touchMap(map, matrix, headDim);
  let row = 0;
  if (matrix)
    for (; row + 1 < count; row += 2, y += bytes << 1)
      mapTwoRows(y, rowAt(x, stride, row, group, bytes), rowAt(x, stride, row + 1, group, bytes), map, bytes);
  for (; row < count; row++, y += bytes) mapRow(y, rowAt(x, stride, row, group, bytes), map, matrix, bytes);
}

// @ts-ignore: decorator
@inline
function rowAt(x: usize, stride: usize, row: i32, group: i32, bytes: usize): usize {
  return x + <usize>(row / group) * stride + <usize>(row % group) * bytes;
}

/** `mapRow` with a matrix of two rows, which share what is read of it. */
function mapTwoRows(y: usize, from: usize, other: usize, map: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 64) {
    let a0 = v128.load(map + i);
    let b0 = v128.load(map + i, 16);
    let c0 = v128.load(map + i, 32);
    let d0 = v128.load(map + i, 48);
    let a1 = a0;
    let b1 = b0;
    let c1 = c0;
    let d1 = d0;
    let column = map + bytes + i;
    for (let j: usize = 0; j < bytes; j += 4, column += bytes) {
      const p = v128.load32_splat(from + j);
      const q = v128.load32_splat(other + j);
      const a = v128.load(column);
      a0 = f32x4.add(a0, f32x4.mul(p, a));
      a1 = f32x4.add(a1, f32x4.mul(q, a));
      const b = v128.load(column, 16);
      b0 = f32x4.add(b0, f32x4.mul(p, b));
      b1 = f32x4.add(b1, f32x4.mul(q, b));
      const c = v128.load(column, 32);
      c0 = f32x4.add(c0, f32x4.mul(p, c));
      c1 = f32x4.add(c1, f32x4.mul(q, c));
      const d = v128.load(column, 48);
      d0 = f32x4.add(d0, f32x4.mul(p, d));
      d1 = f32x4.add(d1, f32x4.mul(q, d));
    }
    storeFour(y + i, a0, b0, c0, d0);
    storeFour(y + bytes + i, a1, b1, c1, d1);
  }
}

// @ts-ignore: decorator
@inline
function storeFour(y: usize, a: v128, b: v128, c: v128, d: v128): void {
  v128.store(y, a);
  v128.store(y, b, 16);
  v128.store(y, c, 32);
  v128.store(y, d, 48);
}

/** A token of decode has every matrix from memory: four streams are read faster than columns as they are needed. */
export function touchMap(map: usize, matrix: i32, headDim: i32): void {
  if (!matrix) return;
  const quarter = <usize>headDim * <usize>headDim;
  touch(map, map + quarter, map + 2 * quarter, map + 3 * quarter, quarter + (<usize>headDim << 2));
}

/** `map_rows` of one row of `bytes`. */
export function mapRow(y: usize, from: usize, map: usize, matrix: i32, bytes: usize): void {
  if (!matrix) {
    for (let i: usize = 0; i < bytes; i += 16)
      v128.store(y + i, f32x4.add(f32x4.mul(v128.load(from + i), v128.load(map + i)), v128.load(map + bytes + i)));
    return;
  }
  for (let i: usize = 0; i < bytes; i += 64) {
    let a = v128.load(map + i);
    let b = v128.load(map + i, 16);
    let c = v128.load(map + i, 32);
    let d = v128.load(map + i, 48);
    let column = map + bytes + i;
    for (let j: usize = 0; j < bytes; j += 4, column += bytes) {
      const factor = v128.load32_splat(from + j);
      a = f32x4.add(a, f32x4.mul(factor, v128.load(column)));
      b = f32x4.add(b, f32x4.mul(factor, v128.load(column, 16)));
      c = f32x4.add(c, f32x4.mul(factor, v128.load(column, 32)));
      d = f32x4.add(d, f32x4.mul(factor, v128.load(column, 48)));
    }
    storeFour(y + i, a, b, c, d);
  }
}

/** 7-bit codes of 16 grid coordinates: 64 + round(x), half to even, clamped to 1..127; NaN is 64. */
// @ts-ignore: decorator
@inline
export function gridCodes(x: usize): v128 {
  const a = i16x8.narrow_i32x4_s(round(v128.load(x)), round(v128.load(x, 16)));
  const b = i16x8.narrow_i32x4_s(round(v128.load(x, 32)), round(v128.load(x, 48)));
  const codes = i8x16.max_s(i8x16.min_s(i8x16.narrow_i16x8_s(a, b), i8x16.splat(63)), i8x16.splat(-63));
  return i8x16.add(codes, i8x16.splat(64));
}

// @ts-ignore: decorator
@inline
function round(x: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(x));
}

/** Squared length of the difference of 16 codes on the grid: Σ (a − b)²·squares[i], lane by lane, added to `sum`. */
// @ts-ignore: decorator
@inline
export function squaredDifference(sum: v128, a: v128, b: v128, squares: usize): v128 {
  const difference = i8x16.sub(a, b);
  const low = i16x8.extend_low_i8x16_s(difference);
  const high = i16x8.extend_high_i8x16_s(difference);
  sum = f32x4.add(sum, f32x4.mul(square(i32x4.extend_low_i16x8_s(low)), v128.load(squares)));
  sum = f32x4.add(sum, f32x4.mul(square(i32x4.extend_high_i16x8_s(low)), v128.load(squares, 16)));
  sum = f32x4.add(sum, f32x4.mul(square(i32x4.extend_low_i16x8_s(high)), v128.load(squares, 32)));
  return f32x4.add(sum, f32x4.mul(square(i32x4.extend_high_i16x8_s(high)), v128.load(squares, 48)));
}

// @ts-ignore: decorator
@inline
function square(x: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.mul(x, x));
}

/** Number of ones in a lane mask of 16 bytes. */
// @ts-ignore: decorator
@inline
export function countLanes(mask: v128): i32 {
  return popcnt<i32>(i8x16.bitmask(mask));
}

/** Whether Σ of the lanes is above `limit`. */
// @ts-ignore: decorator
@inline
export function longer(sum: v128, limit: f32): bool {
  return sum4(sum) > limit;
}
