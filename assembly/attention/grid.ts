import { sum4 } from "./layout";

/**
 * y = map(x) for `count` rows of d numbers. `matrix` = 1: map is d constants, then a d × d matrix, f32 [d / 16][d columns][16],
 * which is read from the first number to the last; to the constants the products are added in the order of the columns.
 * `matrix` = 0: map is d factors, then d constants: y = x · factor + constant.
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
  if (!matrix) {
    for (let row = 0; row < count; row++, y += bytes) mapRow(y, rowAt(x, stride, row, group, bytes), map, 0, bytes);
    return;
  }
  let block = map + bytes;
  for (let i: usize = 0; i < bytes; i += 64, block += bytes << 4) {
    let to = y + i;
    let row = 0;
    for (; row + 1 < count; row += 2, to += bytes << 1)
      mapTwo(to, rowAt(x, stride, row, group, bytes), rowAt(x, stride, row + 1, group, bytes), map + i, block, bytes);
    if (row < count) mapOne(to, rowAt(x, stride, row, group, bytes), map + i, block, bytes);
  }
}

// @ts-ignore: decorator
@inline
function rowAt(x: usize, stride: usize, row: i32, group: i32, bytes: usize): usize {
  return x + <usize>(row / group) * stride + <usize>(row % group) * bytes;
}

/** 16 numbers of two rows, which share what is read of the matrix. */
function mapTwo(y: usize, from: usize, other: usize, constants: usize, column: usize, bytes: usize): void {
  let a0 = v128.load(constants);
  let b0 = v128.load(constants, 16);
  let c0 = v128.load(constants, 32);
  let d0 = v128.load(constants, 48);
  let a1 = a0;
  let b1 = b0;
  let c1 = c0;
  let d1 = d0;
  for (let j: usize = 0; j < bytes; j += 4, column += 64) {
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
  storeFour(y, a0, b0, c0, d0);
  storeFour(y + bytes, a1, b1, c1, d1);
}

// @ts-ignore: decorator
@inline
function storeFour(y: usize, a: v128, b: v128, c: v128, d: v128): void {
  v128.store(y, a);
  v128.store(y, b, 16);
  v128.store(y, c, 32);
  v128.store(y, d, 48);
}

/** `map_rows` of one row of `bytes`. */
export function mapRow(y: usize, from: usize, map: usize, matrix: i32, bytes: usize): void {
  let block = map + bytes;
  if (matrix) for (let i: usize = 0; i < bytes; i += 64, block += bytes << 4) mapOne(y + i, from, map + i, block, bytes);
  else
    for (let i: usize = 0; i < bytes; i += 16)
      v128.store(y + i, f32x4.add(f32x4.mul(v128.load(from + i), v128.load(map + i)), v128.load(map + bytes + i)));
}

/** 16 numbers of a row. */
function mapOne(y: usize, from: usize, constants: usize, column: usize, bytes: usize): void {
  let a = v128.load(constants);
  let b = v128.load(constants, 16);
  let c = v128.load(constants, 32);
  let d = v128.load(constants, 48);
  for (let j: usize = 0; j < bytes; j += 4, column += 64) {
    const factor = v128.load32_splat(from + j);
    a = f32x4.add(a, f32x4.mul(factor, v128.load(column)));
    b = f32x4.add(b, f32x4.mul(factor, v128.load(column, 16)));
    c = f32x4.add(c, f32x4.mul(factor, v128.load(column, 32)));
    d = f32x4.add(d, f32x4.mul(factor, v128.load(column, 48)));
  }
  storeFour(y, a, b, c, d);
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
