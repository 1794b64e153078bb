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
 * @param less the threshold times −1
 */
export function leadProducts(out: usize, row: usize, codes: usize, headDim: i32, lead: i32, less: i32): void {
  const size = groupBytes(headDim);
  let start = i32x4.splat(less);
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
        const x = i32x4.add(
          i32x4.add(dot(a, v128.load(p), ones), dot(b, v128.load(p, 16), ones)),
          i32x4.add(dot(c, v128.load(p, 32), ones), dot(d, v128.load(p, 48), ones)),
        );
        const y = i32x4.add(
          i32x4.add(dot(a, v128.load(next), ones), dot(b, v128.load(next, 16), ones)),
          i32x4.add(dot(c, v128.load(next, 32), ones), dot(d, v128.load(next, 48), ones)),
        );
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

// @ts-ignore: decorator
@inline
function dot(row: v128, codes: v128, ones: v128): v128 {
  return i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(row, codes), ones);
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
 * @param most f32 [rows][4]; @param less i32 [rows], thresholds times −1
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
): void {
  for (let r = 0; r < some; r += 2, query += querySize << 1, scores += RANGE << 3, most += 32, less += 8)
    if (some == 3) {
      completeRows(scores, list, query, querySize, tiles, headDim, lead, from, to, most, less, 3);
      return;
    } else if (r + 1 < some) completeRows(scores, list, query, querySize, tiles, headDim, lead, from, to, most, less, 2);
    else completeRows(scores, list, query, querySize, tiles, headDim, lead, from, to, most, less, 1);
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
): void {
  const query1 = query + querySize;
  const query2 = query1 + querySize;
  const size = groupBytes(headDim);
  const part = restPart(lead);
  const begin = <usize>(lead >> 2) * STEP;
  const end = <usize>(headDim >> 2) * STEP;
  const ones = hoisted(i16x8.splat(1), opaqueZero());
  const constants = query + (<usize>headDim << 1) + 4;
  for (let c = from; c < to; c += 2) {
    const g = <usize>load<u8>(list + <usize>c);
    // The last may be alone: it is computed twice then.
    const h = c + 1 < to ? <usize>load<u8>(list + <usize>c, 1) : g;
    let p = <usize>load<u32>(tiles + (g >> 4 << 2)) + (g & 15) * size + part;
    let o = <usize>load<u32>(tiles + (h >> 4 << 2)) + (h & 15) * size + part;
    const place = scores + (<usize>c << 4);
    const next: usize = h == g ? 0 : 16;
    let a0 = v128.load(scores + (g << 4));
    let a1 = v128.load(scores + (h << 4));
    let b0 = rows > 1 ? v128.load(scores + (g << 4), RANGE << 2) : a0;
    let b1 = rows > 1 ? v128.load(scores + (h << 4), RANGE << 2) : a0;
    let c0 = rows > 2 ? v128.load(scores + (g << 4), RANGE << 3) : a0;
    let c1 = rows > 2 ? v128.load(scores + (h << 4), RANGE << 3) : a0;
    if (ASC_FEATURE_RELAXED_SIMD) {
      for (let at = begin; at < end; at += 8, p += 32, o += 32) {
        const x0 = v128.load(p);
        const x1 = v128.load(p, 16);
        const y0 = v128.load(o);
        const y1 = v128.load(o, 16);
        const a = v128.load32_splat(query + at);
        const d = v128.load32_splat(query + at, 4);
        a0 = i32x4.add(i32x4.add(a0, dot(a, x0, ones)), dot(d, x1, ones));
        a1 = i32x4.add(i32x4.add(a1, dot(a, y0, ones)), dot(d, y1, ones));
        if (rows > 1) {
          const b = v128.load32_splat(query1 + at);
          const e = v128.load32_splat(query1 + at, 4);
          b0 = i32x4.add(i32x4.add(b0, dot(b, x0, ones)), dot(e, x1, ones));
          b1 = i32x4.add(i32x4.add(b1, dot(b, y0, ones)), dot(e, y1, ones));
        }
        if (rows > 2) {
          const q = v128.load32_splat(query2 + at);
          const f = v128.load32_splat(query2 + at, 4);
          c0 = i32x4.add(i32x4.add(c0, dot(q, x0, ones)), dot(f, x1, ones));
          c1 = i32x4.add(i32x4.add(c1, dot(q, y0, ones)), dot(f, y1, ones));
        }
      }
    } else {
      a0 = i32x4.add(a0, wideProduct(query + begin, query + end, p));
      a1 = i32x4.add(a1, wideProduct(query + begin, query + end, o));
      if (rows > 1) {
        b0 = i32x4.add(b0, wideProduct(query1 + begin, query1 + end, p));
        b1 = i32x4.add(b1, wideProduct(query1 + begin, query1 + end, o));
      }
      if (rows > 2) {
        c0 = i32x4.add(c0, wideProduct(query2 + begin, query2 + end, p));
        c1 = i32x4.add(c1, wideProduct(query2 + begin, query2 + end, o));
      }
    }
    finish(place, next, most, load<i32>(less) + load<i32>(constants), a0, a1);
    if (rows > 1)
      finish(place + (RANGE << 2), next, most + 16, load<i32>(less, 4) + load<i32>(constants + querySize), b0, b1);
    if (rows > 2)
      finish(place + (RANGE << 3), next, most + 32, load<i32>(less, 8) + load<i32>(constants + 2 * querySize), c0, c1);
  }
}

/** Takes `less` from the sums of two groups. */
// @ts-ignore: decorator
@inline
function finish(place: usize, next: usize, most: usize, less: i32, a: v128, b: v128): void {
  const x = f32x4.convert_i32x4_s(i32x4.sub(a, i32x4.splat(less)));
  const y = f32x4.convert_i32x4_s(i32x4.sub(b, i32x4.splat(less)));
  v128.store(place, x);
  v128.store(place + next, y);
  v128.store(most, f32x4.pmax(f32x4.pmax(v128.load(most), x), y));
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
