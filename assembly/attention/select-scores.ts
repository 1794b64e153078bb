import { hoisted, opaqueZero, RANGE } from "./layout";
import { STEP } from "./product";

// Products of selective scoring: those of all groups of 4 keys with the leading elements, of which those that some row wants
// are listed; then the rest of those. Rows are 1–4 query heads of one token.

/** Bytes from the leading elements of a group of 4 keys to those of the next; their other elements are `restPart` further on. */
// @ts-ignore: decorator
@inline
export function groupBytes(headDim: i32): usize {
  return <usize>headDim << 2;
}

// @ts-ignore: decorator
@inline
export function restPart(lead: i32): usize {
  return <usize>lead << 2;
}

/**
 * Products of the leading elements of a page with one row, less its threshold: i32 out[16 groups][4 keys].
 * @param less the threshold times −1; @param shared steps that may be added up in 16 bits: 4, 2 or 1
 */
export function leadProducts(
  out: usize,
  row: usize,
  codes: usize,
  headDim: i32,
  lead: i32,
  less: i32,
  shared: i32,
): void {
  if (shared == 4) leadSums(out, row, codes, headDim, lead, less, 4);
  else if (shared == 2) leadSums(out, row, codes, headDim, lead, less, 2);
  else leadSums(out, row, codes, headDim, lead, less, 1);
}

// @ts-ignore: decorator
@inline
function leadSums(out: usize, row: usize, codes: usize, headDim: i32, lead: i32, less: i32, shared: i32): void {
  const size = groupBytes(headDim);
  const start = i32x4.splat(less);
  for (let at: usize = 0; at < <usize>lead; at += 16, codes += 64, row += STEP << 2) {
    const end = out + 256;
    let p = codes;
    if (ASC_FEATURE_RELAXED_SIMD) {
      const ones = hoisted(i16x8.splat(1), opaqueZero());
      const a = v128.load32_splat(row);
      const b = v128.load32_splat(row, 4);
      const c = v128.load32_splat(row, 8);
      const d = v128.load32_splat(row, 12);
      for (let to = out; to < end; to += 32, p += size << 1) {
        const before = at ? v128.load(to) : start;
        const after = at ? v128.load(to, 16) : start;
        const next = p + size;
        const x = product(a, b, c, d, v128.load(p), v128.load(p, 16), v128.load(p, 32), v128.load(p, 48), ones, shared);
        const y = product(
          a, b, c, d, v128.load(next), v128.load(next, 16), v128.load(next, 32), v128.load(next, 48), ones, shared);
        v128.store(to, i32x4.add(before, x));
        v128.store(to, i32x4.add(after, y), 16);
      }
    } else {
      const a = v128.load64_splat(row);
      const b = v128.load64_splat(row, 8);
      const c = v128.load64_splat(row, 16);
      const d = v128.load64_splat(row, 24);
      for (let to = out; to < end; to += 16, p += size) {
        const low = i32x4.add(
          i32x4.add(i32x4.dot_i16x8_s(a, v128.load8x8_s(p)), i32x4.dot_i16x8_s(b, v128.load8x8_s(p, 16))),
          i32x4.add(i32x4.dot_i16x8_s(c, v128.load8x8_s(p, 32)), i32x4.dot_i16x8_s(d, v128.load8x8_s(p, 48))),
        );
        const high = i32x4.add(
          i32x4.add(i32x4.dot_i16x8_s(a, v128.load8x8_s(p, 8)), i32x4.dot_i16x8_s(b, v128.load8x8_s(p, 24))),
          i32x4.add(i32x4.dot_i16x8_s(c, v128.load8x8_s(p, 40)), i32x4.dot_i16x8_s(d, v128.load8x8_s(p, 56))),
        );
        v128.store(to, i32x4.add(at ? v128.load(to) : start, pairs(low, high)));
      }
    }
  }
}

/** Products of 4 steps of a row with those of 4 keys; `shared` of them are added up before they are widened to 32 bits. */
// @ts-ignore: decorator
@inline
function product(
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
  if (shared == 4) return i32x4.dot_i16x8_s(i16x8.add(i16x8.add(p, q), i16x8.add(r, s)), ones);
  if (shared == 2) return i32x4.add(i32x4.dot_i16x8_s(i16x8.add(p, q), ones), i32x4.dot_i16x8_s(i16x8.add(r, s), ones));
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
 * Lists, after the first `listed`, the groups of a page in which a product of any row is not below its threshold.
 * Returns how many are listed then. No branch that cannot be foreseen: each is written, and counted or not.
 * @param products from `leadProducts`, rows 2,048 bytes apart; @param first number of the first group
 */
export function listWanted(list: usize, products: usize, some: i32, first: i32, listed: i32): i32 {
  const end = first + 16;
  for (; first < end; first++, products += 16) {
    let negative = v128.load(products);
    if (some > 1) negative = v128.and(negative, v128.load(products, RANGE << 2));
    if (some > 2) negative = v128.and(negative, v128.load(products, RANGE << 3));
    if (some > 3) negative = v128.and(negative, v128.load(products, 3 * (RANGE << 2)));
    store<u8>(list + <usize>listed, <u8>first);
    listed += <i32>(i32x4.bitmask(negative) != 15);
  }
  return listed;
}

/**
 * Adds the products with the other elements to those of the groups `from` … `to` − 1 of the list, as f32 Σ q·(code − 64) at their
 * place in the list, and folds them into the largest scores of the rows.
 * @param scores [rows][128][4]: i32 from `leadProducts` at the group's number before; @param tiles u32 [8], addresses of the pages
 * @param most f32 [rows][4]; @param less i32 [rows], corrections of the queries less their thresholds; @param shared as in `leadProducts`, of all rows
 */
export function completeListed(
  scores: usize,
  list: usize,
  query: usize,
  querySize: usize,
  some: i32,
  tiles: usize,
  headDim: i32,
  lead: i32,
  from: i32,
  to: i32,
  most: usize,
  less: usize,
  shared: i32,
): void {
  if (shared == 4) {
    if (some == 4) completeRows(scores, list, query, querySize, tiles, headDim, lead, from, to, most, less, 4, 4);
    else if (some == 3) completeRows(scores, list, query, querySize, tiles, headDim, lead, from, to, most, less, 3, 4);
    else if (some == 2) completeRows(scores, list, query, querySize, tiles, headDim, lead, from, to, most, less, 2, 4);
    else completeRows(scores, list, query, querySize, tiles, headDim, lead, from, to, most, less, 1, 4);
  } else
    for (; some > 0; some -= 2, query += querySize << 1, scores += RANGE << 3, most += 32, less += 8)
      if (some > 1) completeRows(scores, list, query, querySize, tiles, headDim, lead, from, to, most, less, 2, 1);
      else completeRows(scores, list, query, querySize, tiles, headDim, lead, from, to, most, less, 1, 1);
}

// @ts-ignore: decorator
@inline
function completeRows(
  scores: usize,
  list: usize,
  query: usize,
  querySize: usize,
  tiles: usize,
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
  const size = groupBytes(headDim);
  const part = restPart(lead);
  const begin = <usize>(lead >> 2) * STEP;
  const end = <usize>(headDim >> 2) * STEP;
  const ones = hoisted(i16x8.splat(1), opaqueZero());
  for (let at = from; at < to; at++) {
    const g = <usize>load<u8>(list + <usize>at);
    let p = <usize>load<u32>(tiles + (g >> 4 << 2)) + (g & 15) * size + part;
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
