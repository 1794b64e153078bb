import { hoisted, max4, opaqueZero, RANGE } from "./layout";
import { STEP } from "./product";
import { ADDRESSES, CODES, GROUPS, LOWEST, TILE_SCALES, WEIGHT_SUMS } from "./work";

// Softmax weights and values of selective scoring, over the groups of 4 keys that are listed.

// The codes of the weights of a group: [4 rows][4 keys], bytes in the relaxed build, 16-bit numbers otherwise.
export const GROUP_CODES: usize = STEP << 2;

/**
 * Weights of 1–4 rows in a page, from exponentials: those below the least weight become 0, the others are added to the sums, per lane;
 * then they are multiplied with the scales of the values and rounded to 7 bits, with one scale per row. Groups in which no
 * code is left are left out: the others follow the first `kept`, with the addresses of their values. Returns how many are kept now.
 * @param from, to places in the list; @param values of the page; @param cuts whether there is a least weight
 */
export function packWeights(
  work: usize,
  some: i32,
  page: i32,
  from: i32,
  to: i32,
  values: usize,
  headDim: i32,
  cuts: bool,
  kept: i32,
): i32 {
  if (some == 1) return packRows(work, page, from, to, values, headDim, cuts, kept, 1);
  if (some == 2) return packRows(work, page, from, to, values, headDim, cuts, kept, 2);
  if (some == 3) return packRows(work, page, from, to, values, headDim, cuts, kept, 3);
  return packRows(work, page, from, to, values, headDim, cuts, kept, 4);
}

// @ts-ignore: decorator
@inline
function packRows(
  work: usize,
  page: i32,
  from: i32,
  to: i32,
  values: usize,
  headDim: i32,
  cuts: bool,
  kept: i32,
  rows: i32,
): i32 {
  const zero = f32x4.splat(0);
  const list = work + GROUPS;
  const scales = values + (<usize>headDim << 6);
  const sums = work + WEIGHT_SUMS;
  const least = cuts ? v128.load(work + LOWEST) : zero;
  const least0 = i32x4.shuffle(least, least, 0, 0, 0, 0);
  const least1 = i32x4.shuffle(least, least, 1, 1, 1, 1);
  const least2 = i32x4.shuffle(least, least, 2, 2, 2, 2);
  const least3 = i32x4.shuffle(least, least, 3, 3, 3, 3);
  let sum0 = v128.load(sums);
  let sum1 = rows > 1 ? v128.load(sums, 16) : zero;
  let sum2 = rows > 2 ? v128.load(sums, 32) : zero;
  let sum3 = rows > 3 ? v128.load(sums, 48) : zero;
  let most0 = zero;
  let most1 = zero;
  let most2 = zero;
  let most3 = zero;
  for (let i = from; i < to; i++) {
    const place = work + (<usize>i << 4);
    const scale = v128.load(scales + (<usize>(load<u8>(list + <usize>i) & 15) << 4));
    const a = notBelow(v128.load(place), least0);
    sum0 = f32x4.add(sum0, a);
    most0 = f32x4.pmax(most0, scaled(place, a, scale));
    if (rows > 1) {
      const b = notBelow(v128.load(place, RANGE << 2), least1);
      sum1 = f32x4.add(sum1, b);
      most1 = f32x4.pmax(most1, scaled(place + (RANGE << 2), b, scale));
    }
    if (rows > 2) {
      const c = notBelow(v128.load(place, RANGE << 3), least2);
      sum2 = f32x4.add(sum2, c);
      most2 = f32x4.pmax(most2, scaled(place + (RANGE << 3), c, scale));
    }
    if (rows > 3) {
      const d = notBelow(v128.load(place, 3 * (RANGE << 2)), least3);
      sum3 = f32x4.add(sum3, d);
      most3 = f32x4.pmax(most3, scaled(place + 3 * (RANGE << 2), d, scale));
    }
  }
  v128.store(sums, sum0);
  if (rows > 1) v128.store(sums, sum1, 16);
  if (rows > 2) v128.store(sums, sum2, 32);
  if (rows > 3) v128.store(sums, sum3, 48);
  const tops = f32x4(max4(most0), rows > 1 ? max4(most1) : 0, rows > 2 ? max4(most2) : 0, rows > 3 ? max4(most3) : 0);
  v128.store(work + TILE_SCALES + (<usize>page << 4), f32x4.div(tops, f32x4.splat(127)));
  const inverse = v128.and(f32x4.div(f32x4.splat(127), tops), f32x4.gt(tops, f32x4.splat(1e-36)));
  const magic = hoisted(f32x4.splat(12582912.0), opaqueZero());
  const inverse0 = i32x4.shuffle(inverse, inverse, 0, 0, 0, 0);
  const inverse1 = i32x4.shuffle(inverse, inverse, 1, 1, 1, 1);
  const inverse2 = i32x4.shuffle(inverse, inverse, 2, 2, 2, 2);
  const inverse3 = i32x4.shuffle(inverse, inverse, 3, 3, 3, 3);
  for (let i = from; i < to; i++) {
    const place = work + (<usize>i << 4);
    const w = code(place, inverse0, magic);
    const x = rows > 1 ? code(place + (RANGE << 2), inverse1, magic) : w;
    const y = rows > 2 ? code(place + (RANGE << 3), inverse2, magic) : w;
    const z = rows > 3 ? code(place + 3 * (RANGE << 2), inverse3, magic) : y;
    const first = i16x8.narrow_i32x4_s(w, x);
    const second = rows > 2 ? i16x8.narrow_i32x4_s(y, z) : first;
    const to = work + CODES + <usize>kept * GROUP_CODES;
    let any: v128;
    if (ASC_FEATURE_RELAXED_SIMD) {
      any = i8x16.narrow_i16x8_s(first, second);
      v128.store(to, any);
    } else {
      any = rows > 2 ? v128.or(first, second) : first;
      v128.store(to, first);
      v128.store(to, second, 16);
    }
    const group = <usize>(load<u8>(list + <usize>i) & 15) * (<usize>headDim << 2);
    store<u32>(work + ADDRESSES + (<usize>kept << 2), <u32>(values + group));
    kept += <i32>v128.any_true(any);
  }
  return kept;
}

// @ts-ignore: decorator
@inline
function notBelow(x: v128, lowest: v128): v128 {
  return v128.and(x, f32x4.ge(x, lowest));
}

// @ts-ignore: decorator
@inline
function scaled(place: usize, weight: v128, scale: v128): v128 {
  const x = f32x4.mul(weight, scale);
  v128.store(place, x);
  return x;
}

// @ts-ignore: decorator
@inline
function code(place: usize, inverse: v128, magic: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(v128.load(place), inverse), magic), magic);
}
