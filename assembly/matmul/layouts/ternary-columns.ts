// Ternary matrices × activations of which most are zero, in layout `ternary-columns`: only the columns that meet a number
// other than zero are read. Σ (code − 1) · x are the integers of `gemv_ternary`, hence the bits.
import { Product } from "../../abi/product";
import { hiddenBytes, hiddenShorts } from "../opaque";
import { storeTernary } from "../store";
import { gemm_ternary } from "./ternary-gemm";
import { columnsToPanels, lineBytes } from "./ternary-order";

/** Columns after which sums are widened: 4 · 64 · 127 = 32512 fits 16 bits. */
const BATCH: i32 = 64;
/** Rows that share one pass over the columns of many tokens: one cache line of each, which together fit the second cache. */
const PASS_ROWS: i32 = 256;

/**
 * The columns of each record (`quantise_per_token`) whose code is not 0: per token u32 column · `line` at `offsets` and i8
 * codes at `values`, filled up to pairs with a code 0; both `4 · columns` bytes per token. The count goes to the record's third word.
 */
export function list_columns(
  records: usize, tokens: i32, columns: i32, line: i32, offsets: usize, values: usize,
): void {
  const padded = (columns + 31) & ~31;
  for (let t = 0; t < tokens; t++) {
    let to = offsets;
    let value = values;
    const codes = records + 16;
    for (let c = 0; c < columns; c += 16) {
      const v = v128.load(codes + c);
      let bits = i8x16.bitmask(i8x16.ne(v, i8x16.splat(0)));
      while (bits != 0) {
        const column = c + ctz(bits);
        store<i32>(to, column * line);
        store<u8>(value, load<u8>(codes + column));
        to += 4;
        value++;
        bits &= bits - 1;
      }
    }
    const count = <i32>(value - values);
    store<i32>(records, count, 8);
    if (count & 1) {
      store<i32>(to, load<i32>(to - 4));
      store<u8>(value, 0);
    }
    records += <usize>(16 + 3 * padded);
    offsets += <usize>columns << 2;
    values += <usize>columns << 2;
  }
}

/** Codes that are not 0 of the records of `quantise_per_token`. */
export function count_codes(records: usize, tokens: i32, columns: i32): i32 {
  const padded = (columns + 31) & ~31;
  let count = 0;
  for (let t = 0; t < tokens; t++, records += <usize>(16 + 3 * padded))
    for (let c = 0; c < padded; c += 16)
      count += <i32>popcnt(i8x16.bitmask(i8x16.ne(v128.load(records + 16 + c), i8x16.splat(0))));
  return count;
}

/** Active columns of all tokens, as `list_columns` has counted them. */
export function active_columns(records: usize, tokens: i32, columns: i32): i32 {
  let sum = 0;
  for (const stride = <usize>(16 + 3 * ((columns + 31) & ~31)); tokens > 0; tokens--, records += stride)
    sum += load<i32>(records, 8);
  return sum;
}

/** Adds 16-bit sums of 8 rows to their 32-bit sums. */
// @ts-ignore: decorator
@inline
function widen(to: usize, sum: v128): void {
  v128.store(to, i32x4.add(v128.load(to), i32x4.extend_low_i16x8_s(sum)));
  v128.store(to, i32x4.add(v128.load(to, 16), i32x4.extend_high_i16x8_s(sum)), 16);
}

// @ts-ignore: decorator
@inline
function plusDot(acc: v128, x: v128, codes: v128, mask: v128): v128 {
  return i16x8.add(acc, i16x8.relaxed_dot_i8x16_i7x16_s(x, v128.and(codes, mask)));
}

// @ts-ignore: decorator
@inline
function plusProduct(acc: v128, x: v128, codes: v128, mask: v128): v128 {
  return i16x8.add(acc, i16x8.mul(x, v128.and(codes, mask)));
}

/** Even and odd rows of 16 to their sums. */
// @ts-ignore: decorator
@inline
function widenPairs(to: usize, even: v128, odd: v128): void {
  widen(to, v128.shuffle<i16>(even, odd, 0, 8, 1, 9, 2, 10, 3, 11));
  widen(to + 32, v128.shuffle<i16>(even, odd, 4, 12, 5, 13, 6, 14, 7, 15));
}

/**
 * Adds up to 64 columns of 64 rows to their sums. `w`: of the rows in column 0; `minus`: −Σ x of these columns, with which
 * 16-bit sums of codes 0, 1, 2 count them as −1, 0, 1 in the end, whatever overflowed in between.
 */
// @ts-ignore: decorator
@inline
function addColumns(to: usize, w: usize, offsets: usize, values: usize, end: usize, minus: i32): void {
  const low = ASC_FEATURE_RELAXED_SIMD ? hiddenBytes(0x03) : hiddenShorts(0x03);
  const next = ASC_FEATURE_RELAXED_SIMD ? hiddenBytes(0x0c) : hiddenShorts(0x0c);
  let a0 = i16x8.splat(<i16>minus);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  // Four times their sums.
  let b0 = i16x8.splat(<i16>(minus << 2));
  let b1 = b0;
  let b2 = b0;
  let b3 = b0;
  if (ASC_FEATURE_RELAXED_SIMD) {
    for (; values < end; values += 2, offsets += 8) {
      const x = v128.load16_splat(values);
      const v = v128.load(w + load<u32>(offsets));
      const u = v128.load(w + load<u32>(offsets, 4));
      let p = v128.shuffle<i8>(v, u, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      let q = v128.shuffle<i8>(v, u, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      a0 = plusDot(a0, x, p, low);
      a1 = plusDot(a1, x, q, low);
      b0 = plusDot(b0, x, p, next);
      b1 = plusDot(b1, x, q, next);
      p = i16x8.shr_u(p, 4);
      q = i16x8.shr_u(q, 4);
      a2 = plusDot(a2, x, p, low);
      a3 = plusDot(a3, x, q, low);
      b2 = plusDot(b2, x, p, next);
      b3 = plusDot(b3, x, q, next);
    }
    widen(to, a0);
    widen(to + 32, a1);
    widen(to + 64, i16x8.shr_s(b0, 2));
    widen(to + 96, i16x8.shr_s(b1, 2));
    widen(to + 128, a2);
    widen(to + 160, a3);
    widen(to + 192, i16x8.shr_s(b2, 2));
    widen(to + 224, i16x8.shr_s(b3, 2));
  } else {
    for (; values < end; values++, offsets += 4) {
      const x = i16x8.splat(load<i8>(values));
      let v = v128.load(w + load<u32>(offsets));
      a0 = plusProduct(a0, x, v, low);
      b0 = plusProduct(b0, x, v, next);
      v = i16x8.shr_u(v, 4);
      a2 = plusProduct(a2, x, v, low);
      b2 = plusProduct(b2, x, v, next);
      v = i16x8.shr_u(v, 4);
      a1 = plusProduct(a1, x, v, low);
      b1 = plusProduct(b1, x, v, next);
      v = i16x8.shr_u(v, 4);
      a3 = plusProduct(a3, x, v, low);
      b3 = plusProduct(b3, x, v, next);
    }
    widenPairs(to, a0, a1);
    widenPairs(to + 64, i16x8.shr_s(b0, 2), i16x8.shr_s(b1, 2));
    widenPairs(to + 128, a2, a3);
    widenPairs(to + 192, i16x8.shr_s(b2, 2), i16x8.shr_s(b3, 2));
  }
}

/**
 * `tokens` tokens × layout `ternary-columns`; records from `quantise_per_token`, lists from `list_columns`; rows `rowStart`
 * (a multiple of 64) to `rowEnd` − 1; scratch: 4 bytes per row.
 */
export function gemm_active_columns(product: Product, rowStart: i32, rowEnd: i32): void {
  const columns = product.columns;
  const blockRows = product.blockRows;
  const line = lineBytes(blockRows);
  const tokens = product.tokens;
  const sums = product.scratch;
  const padded = (columns + 31) & ~31;
  const stride = <usize>(16 + 3 * padded);
  let touched = 0;
  for (let row = rowStart; row < rowEnd; ) {
    const block = row / blockRows;
    const inBlock = row - block * blockRows;
    const end = min(min(rowEnd, row - inBlock + blockRows), tokens == 1 ? rowEnd : row + PASS_ROWS);
    const w = product.weights + <usize>block * line * columns + (<usize>inBlock >> 2);
    const strips = (end - row + 63) >> 6;
    for (let t = 0; t < tokens; t++) {
      const record = product.activations + <usize>t * stride;
      let values = product.values + <usize>t * (columns << 2);
      let offsets = product.offsets + <usize>t * (columns << 2);
      const last = values + ((load<i32>(record, 8) + 1) & ~1);
      memory.fill(sums, 0, <usize>strips << 8);
      for (; values < last; values += BATCH, offsets += 4 * BATCH) {
        const stop = min<usize>(values + BATCH, last);
        let minus = 0;
        for (let at = values; at < stop; at++) minus -= load<i8>(at);
        // Line by line of sixteen columns at a time: more of them wait for memory together.
        if (tokens == 1)
          for (let at = offsets, all = offsets + (<usize>(stop - values) << 2); at < all; at += 64) {
            const some = min<usize>(at + 64, all);
            for (let from = w, lines = w + (<usize>strips << 4); from < lines; from += 64)
              for (let column = at; column < some; column += 4) touched += load<i32>(from + load<u32>(column));
          }
        for (let s: usize = 0; s < <usize>strips; s++)
          addColumns(sums + (s << 8), w + (s << 4), offsets, values, stop, minus);
      }
      const out = product.out + ((<usize>t * product.rows + row) << 2);
      for (let r = 0; r < end - row; r += 4)
        storeTernary(
          out + (<usize>r << 2), v128.load(sums + (<usize>r << 2)), record, product.scale, end - row - r, product.accumulate != 0,
        );
    }
    row = end;
  }
  // What was touched counts as used.
  if (tokens == 1) store<i32>(sums, touched);
}

/** Every product of layout `ternary-columns`: by way of layout `ternary`, 64 rows at a time. */
export function gemm_ternary_columns(product: Product, rowStart: i32, rowEnd: i32): void {
  const weights = product.weights;
  const columns = product.columns;
  const panels = product.scratch;
  const strip = <usize>((columns + 31) & ~31) << 4;
  product.scratch = panels + strip;
  for (let row = rowStart; row < rowEnd; row += 64) {
    columnsToPanels(panels, weights, row, columns, product.blockRows, panels + strip);
    product.weights = panels - <usize>(row >> 3) * (strip >> 3);
    gemm_ternary(product, row, min(row + 64, rowEnd));
  }
  product.weights = weights;
  product.scratch = panels;
}
