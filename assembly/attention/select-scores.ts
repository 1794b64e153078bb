import { hoisted, opaqueZero, RANGE } from "./layout";
import { STEP } from "./product";

// Products of selective scoring: those with the elements after the leading ones, of the groups of 4 keys that are listed. Rows
// are 1–4 query heads of one token.

/** Products of 4 steps of a row with those of 4 keys; `shared` of them are added up before they are widened to 32 bits. */
// @ts-ignore: decorator
@inline
export function product(
  a: v128,
  b: v128,
  c: v128,
  d: v128,
  w: v128,
  x: v128,
  y: v128,
  z: v128,
  ones: v128,
  shared: i32,
): v128 {
  const p = i16x8.relaxed_dot_i8x16_i7x16_s(a, w);
  const q = i16x8.relaxed_dot_i8x16_i7x16_s(b, x);
  const r = i16x8.relaxed_dot_i8x16_i7x16_s(c, y);
  const s = i16x8.relaxed_dot_i8x16_i7x16_s(d, z);
  if (shared == 4) return i32x4.dot_i16x8_s(i16x8.add(i16x8.add(p, s), i16x8.add(q, r)), ones);
  if (shared == 2) return i32x4.add(i32x4.dot_i16x8_s(i16x8.add(p, s), ones), i32x4.dot_i16x8_s(i16x8.add(q, r), ones));
  return i32x4.add(
    i32x4.add(i32x4.dot_i16x8_s(p, ones), i32x4.dot_i16x8_s(q, ones)),
    i32x4.add(i32x4.dot_i16x8_s(r, ones), i32x4.dot_i16x8_s(s, ones)),
  );
}

/** Sums of neighbouring lanes of a, then of b. */
// @ts-ignore: decorator
@inline
export function pairs(a: v128, b: v128): v128 {
  return i32x4.add(
    i8x16.shuffle(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27),
    i8x16.shuffle(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31),
  );
}

/**
 * Adds the products with the other elements to those of the groups `from` … `to` − 1 of the list, as f32 Σ q·(code − 64) at their
 * place in the list, and folds them into the largest scores of the rows.
 * @param scores [rows][128][4]: i32 from `leadProducts` at the group's number before; @param addresses of the other elements, as listed
 * @param most f32 [rows][4]; @param less i32 [rows], corrections of the queries less their thresholds; @param shared as in `leadProducts`, of all rows
 */
export function completeListed(
  scores: usize,
  list: usize,
  query: usize,
  querySize: usize,
  some: i32,
  addresses: usize,
  headDim: i32,
  lead: i32,
  from: i32,
  to: i32,
  most: usize,
  less: usize,
  shared: i32,
): void {
  if (shared == 4) {
    if (some == 4) completeRows(scores, list, query, querySize, addresses, headDim, lead, from, to, most, less, 4, 4);
    else if (some == 3) completeRows(scores, list, query, querySize, addresses, headDim, lead, from, to, most, less, 3, 4);
    else if (some == 2) completeRows(scores, list, query, querySize, addresses, headDim, lead, from, to, most, less, 2, 4);
    else completeRows(scores, list, query, querySize, addresses, headDim, lead, from, to, most, less, 1, 4);
  } else
    // Without sums in 16 bits more rows do not fit the registers.
    for (; some > 0; some -= 2, query += querySize << 1, scores += RANGE << 3, most += 32, less += 8)
      if (some > 1) completeRows(scores, list, query, querySize, addresses, headDim, lead, from, to, most, less, 2, 1);
      else completeRows(scores, list, query, querySize, addresses, headDim, lead, from, to, most, less, 1, 1);
}

// @ts-ignore: decorator
@inline
function completeRows(
  scores: usize,
  list: usize,
  query: usize,
  querySize: usize,
  addresses: usize,
  headDim: i32,
  lead: i32,
  from: i32,
  to: i32,
  most: usize,
  less: usize,
  rows: i32,
  shared: i32,
): void {
  const query1 = query + querySize;
  const query2 = query1 + querySize;
  const query3 = query2 + querySize;
  const begin = <usize>(lead >> 2) * STEP;
  const end = <usize>(headDim >> 2) * STEP;
  const ones = hoisted(i16x8.splat(1), opaqueZero());
  for (let at = from; at < to; at++) {
    const g = <usize>load<u8>(list + <usize>at);
    let p = <usize>load<u32>(addresses + (<usize>at << 2));
    const place = scores + (<usize>at << 4);
    const before = scores + (g << 4);
    let a = v128.load(before);
    let b = rows > 1 ? v128.load(before, RANGE << 2) : a;
    let c = rows > 2 ? v128.load(before, RANGE << 3) : a;
    let d = rows > 3 ? v128.load(before, 3 * (RANGE << 2)) : a;
    if (ASC_FEATURE_RELAXED_SIMD) {
      for (let i = begin; i < end; i += 16, p += 64) {
        const w = v128.load(p);
        const x = v128.load(p, 16);
        const y = v128.load(p, 32);
        const z = v128.load(p, 48);
        a = i32x4.add(a, rowProduct(query + i, w, x, y, z, ones, shared));
        if (rows > 1) b = i32x4.add(b, rowProduct(query1 + i, w, x, y, z, ones, shared));
        if (rows > 2) c = i32x4.add(c, rowProduct(query2 + i, w, x, y, z, ones, shared));
        if (rows > 3) d = i32x4.add(d, rowProduct(query3 + i, w, x, y, z, ones, shared));
      }
    } else {
      a = i32x4.add(a, wideProduct(query + begin, query + end, p));
      if (rows > 1) b = i32x4.add(b, wideProduct(query1 + begin, query1 + end, p));
    }
    finish(place, most, less, a);
    if (rows > 1) finish(place + (RANGE << 2), most + 16, less + 4, b);
    if (rows > 2) finish(place + (RANGE << 3), most + 32, less + 8, c);
    if (rows > 3) finish(place + 3 * (RANGE << 2), most + 48, less + 12, d);
  }
}

// @ts-ignore: decorator
@inline
function rowProduct(row: usize, w: v128, x: v128, y: v128, z: v128, ones: v128, shared: i32): v128 {
  return product(
    v128.load32_splat(row), v128.load32_splat(row, 4), v128.load32_splat(row, 8), v128.load32_splat(row, 12),
    w, x, y, z, ones, shared);
}

/** Takes what is at `less` from the sums of a group. */
// @ts-ignore: decorator
@inline
function finish(place: usize, most: usize, less: usize, sums: v128): void {
  const x = f32x4.convert_i32x4_s(i32x4.sub(sums, v128.load32_splat(less)));
  v128.store(place, x);
  v128.store(most, f32x4.pmax(v128.load(most), x));
}

/** Σ q·code of the 16-bit codes from `row` to `end`. */
// @ts-ignore: decorator
@inline
function wideProduct(row: usize, end: usize, codes: usize): v128 {
  let low = i32x4.splat(0);
  let high = low;
  for (; row < end; row += 8, codes += 16) {
    const q = v128.load64_splat(row);
    low = i32x4.add(low, i32x4.dot_i16x8_s(q, v128.load8x8_s(codes)));
    high = i32x4.add(high, i32x4.dot_i16x8_s(q, v128.load8x8_s(codes, 8)));
  }
  return pairs(low, high);
}
