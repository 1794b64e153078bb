import { hoisted, opaqueZero, RANGE } from "./layout";
import { STEP } from "./product";
import { pairs, product } from "./select-scores";
import { sharedLead } from "./thresholds";

// Products of selective scoring with the leading elements of all groups of 4 keys, and the list of those that some row wants.

/**
 * Products of the leading elements of a page with 1–4 rows, less their thresholds: i32 out[16 groups][4 keys], rows 2,048
 * bytes apart.
 * @param less i32 [rows], thresholds times −1; @param size bytes from a group of 4 keys to the next
 */
export function leadProducts(
  out: usize,
  row: usize,
  querySize: usize,
  some: i32,
  codes: usize,
  less: usize,
  lead: i32,
  size: usize,
  headDim: i32,
): void {
  for (; some > 0; some -= 2, out += RANGE << 3, row += querySize << 1, less += 8) {
    const other = some > 1 ? querySize : 0;
    const shared = sharedLead(row, querySize, min(some, 2), headDim);
    if (some == 1 && shared > 1) leadSums(out, row, 0, codes, less, lead, size, 1, 2);
    else if (some == 1) leadSums(out, row, 0, codes, less, lead, size, 1, 1);
    else if (shared == 4) leadSums(out, row, other, codes, less, lead, size, 2, 4);
    else if (shared == 2) leadSums(out, row, other, codes, less, lead, size, 2, 2);
    else leadSums(out, row, other, codes, less, lead, size, 2, 1);
  }
}

// @ts-ignore: decorator
@inline
function leadSums(
  out: usize,
  row: usize,
  querySize: usize,
  codes: usize,
  less: usize,
  lead: i32,
  size: usize,
  rows: i32,
  shared: i32,
): void {
  const start = v128.load32_splat(less);
  const start2 = rows > 1 ? v128.load32_splat(less, 4) : start;
  const end = out + 256;
  for (let at: usize = 0; at < <usize>lead; at += 16, codes += 64, row += STEP << 2) {
    let p = codes;
    const row2 = row + querySize;
    if (ASC_FEATURE_RELAXED_SIMD) {
      const ones = hoisted(i16x8.splat(1), opaqueZero());
      const a = v128.load32_splat(row);
      const b = v128.load32_splat(row, 4);
      const c = v128.load32_splat(row, 8);
      const d = v128.load32_splat(row, 12);
      const e = v128.load32_splat(row2);
      const f = v128.load32_splat(row2, 4);
      const g = v128.load32_splat(row2, 8);
      const h = v128.load32_splat(row2, 12);
      for (let to = out; to < end; to += 16, p += size) {
        const w = v128.load(p);
        const x = v128.load(p, 16);
        const y = v128.load(p, 32);
        const z = v128.load(p, 48);
        const before = at ? v128.load(to) : start;
        v128.store(to, i32x4.add(before, product(a, b, c, d, w, x, y, z, ones, shared)));
        if (rows == 1) continue;
        const before2 = at ? v128.load(to, RANGE << 2) : start2;
        v128.store(to, i32x4.add(before2, product(e, f, g, h, w, x, y, z, ones, shared)), RANGE << 2);
      }
    } else {
      const a = v128.load64_splat(row);
      const b = v128.load64_splat(row, 8);
      const c = v128.load64_splat(row, 16);
      const d = v128.load64_splat(row, 24);
      const e = v128.load64_splat(row2);
      const f = v128.load64_splat(row2, 8);
      const g = v128.load64_splat(row2, 16);
      const h = v128.load64_splat(row2, 24);
      for (let to = out; to < end; to += 16, p += size) {
        const w = v128.load8x8_s(p);
        const x = v128.load8x8_s(p, 16);
        const y = v128.load8x8_s(p, 32);
        const z = v128.load8x8_s(p, 48);
        const low = wideProducts(a, b, c, d, w, x, y, z);
        const low2 = rows > 1 ? wideProducts(e, f, g, h, w, x, y, z) : low;
        const w2 = v128.load8x8_s(p, 8);
        const x2 = v128.load8x8_s(p, 24);
        const y2 = v128.load8x8_s(p, 40);
        const z2 = v128.load8x8_s(p, 56);
        const sums = pairs(low, wideProducts(a, b, c, d, w2, x2, y2, z2));
        v128.store(to, i32x4.add(at ? v128.load(to) : start, sums));
        if (rows == 1) continue;
        const sums2 = pairs(low2, wideProducts(e, f, g, h, w2, x2, y2, z2));
        v128.store(to, i32x4.add(at ? v128.load(to, RANGE << 2) : start2, sums2), RANGE << 2);
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function wideProducts(a: v128, b: v128, c: v128, d: v128, w: v128, x: v128, y: v128, z: v128): v128 {
  return i32x4.add(
    i32x4.add(i32x4.dot_i16x8_s(a, w), i32x4.dot_i16x8_s(b, x)),
    i32x4.add(i32x4.dot_i16x8_s(c, y), i32x4.dot_i16x8_s(d, z)),
  );
}

/**
 * Lists, after the first `listed`, the groups of a page in which a product of any row is not below its threshold, and where
 * their other elements are: u8 list, u32 addresses. Returns how many are listed then. No branch that cannot be foreseen: each
 * is written, and counted or not.
 * @param products from `leadProducts`, rows 2,048 bytes apart; @param first number of the first group, whose other elements
 * are at `rest`, `size` bytes before those of the next
 */
export function listWanted(
  list: usize,
  addresses: usize,
  products: usize,
  some: i32,
  first: i32,
  rest: usize,
  size: usize,
  listed: i32,
): i32 {
  const end = first + 16;
  for (; first < end; first++, products += 16, rest += size) {
    let negative = v128.load(products);
    if (some > 1) negative = v128.and(negative, v128.load(products, RANGE << 2));
    if (some > 2) negative = v128.and(negative, v128.load(products, RANGE << 3));
    if (some > 3) negative = v128.and(negative, v128.load(products, 3 * (RANGE << 2)));
    store<u8>(list + <usize>listed, <u8>first);
    store<u32>(addresses + (<usize>listed << 2), <u32>rest);
    listed += <i32>(i32x4.bitmask(negative) != 15);
  }
  return listed;
}
