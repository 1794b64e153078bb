// Ternary matrices × int8 activations with one scale per token.
// y = (Σ code · x − Σ x) · weightScale / activationScale: the sums are exact integers, the rest one fixed f32 expression.
import { Lookup } from "../../abi/lookup";
import { Product } from "../../abi/product";
import { scaleOf } from "./ternary-blocks";
import { hiddenBytes, hiddenShorts } from "../opaque";
import { centred, storeTernary, zeroRow } from "../store";

/** Pair sums of x · (codes under the mask), 16-bit lanes. */
// @ts-ignore: decorator
@inline
function dot(x: v128, codes: v128, mask: v128): v128 {
  return i16x8.relaxed_dot_i8x16_i7x16_s(x, v128.and(codes, mask));
}

/**
 * One token × layout `ternary`, rows `rowStart` (a multiple of 8) to `rowEnd` − 1; activations from `quantise_per_token`.
 */
export function gemv_ternary(product: Product, rowStart: i32, rowEnd: i32): void {
  const out = product.out;
  const record = product.activations;
  const columns = product.columns;
  const scale = product.scale;
  const accumulate = product.accumulate != 0;
  const dot32 = product.dot32 != 0;
  const padded = (columns + 31) & ~31;
  const bytes = record + 16;
  const pairs = bytes + padded;
  let w = product.weights + <usize>rowStart * (padded >> 2);
  const low = ASC_FEATURE_RELAXED_SIMD ? hiddenBytes(0x03) : hiddenShorts(0x03);
  const next = ASC_FEATURE_RELAXED_SIMD ? hiddenBytes(0x0c) : hiddenShorts(0x0c);
  for (let row = rowStart; row < rowEnd; row += 8) {
    let sum0 = i32x4.splat(0);
    let sum1 = i32x4.splat(0);
    if (ASC_FEATURE_RELAXED_SIMD && dot32) {
      // `b` holds four times its sum.
      let b0 = i32x4.splat(0);
      let b1 = i32x4.splat(0);
      for (let x = bytes, end = bytes + padded; x < end; x += 16, w += 32) {
        const x0 = v128.load32_splat(x);
        const x1 = v128.load32_splat(x, 4);
        const x2 = v128.load32_splat(x, 8);
        const x3 = v128.load32_splat(x, 12);
        const v0 = v128.load(w);
        const v1 = v128.load(w, 16);
        const u0 = i16x8.shr_u(v0, 4);
        const u1 = i16x8.shr_u(v1, 4);
        sum0 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x0, v128.and(v0, low), sum0);
        b0 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x1, v128.and(v0, next), b0);
        sum0 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x2, v128.and(u0, low), sum0);
        b0 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x3, v128.and(u0, next), b0);
        sum1 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x0, v128.and(v1, low), sum1);
        b1 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x1, v128.and(v1, next), b1);
        sum1 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x2, v128.and(u1, low), sum1);
        b1 = i32x4.relaxed_dot_i8x16_i7x16_add_s(x3, v128.and(u1, next), b1);
      }
      sum0 = i32x4.add(sum0, i32x4.shr_s(b0, 2));
      sum1 = i32x4.add(sum1, i32x4.shr_s(b1, 2));
    } else if (ASC_FEATURE_RELAXED_SIMD) {
      // 256 columns at a time, of which the first step needs no sums to add to. `b` holds four times its sum: it lasts
      // 128 columns, 16 · (2 · 127 · 8) = 32512, and `a` with both its own and that of `b` 256, for 32512 again.
      let x = bytes;
      for (const whole = bytes + (padded & ~255); x < whole; x += 16, w += 32) {
        let v0 = v128.load(w);
        let v1 = v128.load(w, 16);
        let q = v128.load32_splat(x);
        let a0 = dot(q, v0, low);
        let a1 = dot(q, v1, low);
        q = v128.load32_splat(x, 4);
        let b0 = dot(q, v0, next);
        let b1 = dot(q, v1, next);
        v0 = i16x8.shr_u(v0, 4);
        v1 = i16x8.shr_u(v1, 4);
        q = v128.load32_splat(x, 8);
        a0 = i16x8.add(a0, dot(q, v0, low));
        a1 = i16x8.add(a1, dot(q, v1, low));
        q = v128.load32_splat(x, 12);
        b0 = i16x8.add(b0, dot(q, v0, next));
        b1 = i16x8.add(b1, dot(q, v1, next));
        for (let k = 0; k < 7; k++) {
          x += 16;
          w += 32;
          v0 = v128.load(w);
          v1 = v128.load(w, 16);
          q = v128.load32_splat(x);
          a0 = i16x8.add(a0, dot(q, v0, low));
          a1 = i16x8.add(a1, dot(q, v1, low));
          q = v128.load32_splat(x, 4);
          b0 = i16x8.add(b0, dot(q, v0, next));
          b1 = i16x8.add(b1, dot(q, v1, next));
          v0 = i16x8.shr_u(v0, 4);
          v1 = i16x8.shr_u(v1, 4);
          q = v128.load32_splat(x, 8);
          a0 = i16x8.add(a0, dot(q, v0, low));
          a1 = i16x8.add(a1, dot(q, v1, low));
          q = v128.load32_splat(x, 12);
          b0 = i16x8.add(b0, dot(q, v0, next));
          b1 = i16x8.add(b1, dot(q, v1, next));
        }
        a0 = i16x8.add(a0, i16x8.shr_s(b0, 2));
        a1 = i16x8.add(a1, i16x8.shr_s(b1, 2));
        x += 16;
        w += 32;
        v0 = v128.load(w);
        v1 = v128.load(w, 16);
        q = v128.load32_splat(x);
        a0 = i16x8.add(a0, dot(q, v0, low));
        a1 = i16x8.add(a1, dot(q, v1, low));
        q = v128.load32_splat(x, 4);
        b0 = dot(q, v0, next);
        b1 = dot(q, v1, next);
        v0 = i16x8.shr_u(v0, 4);
        v1 = i16x8.shr_u(v1, 4);
        q = v128.load32_splat(x, 8);
        a0 = i16x8.add(a0, dot(q, v0, low));
        a1 = i16x8.add(a1, dot(q, v1, low));
        q = v128.load32_splat(x, 12);
        b0 = i16x8.add(b0, dot(q, v0, next));
        b1 = i16x8.add(b1, dot(q, v1, next));
        for (let k = 0; k < 7; k++) {
          x += 16;
          w += 32;
          v0 = v128.load(w);
          v1 = v128.load(w, 16);
          q = v128.load32_splat(x);
          a0 = i16x8.add(a0, dot(q, v0, low));
          a1 = i16x8.add(a1, dot(q, v1, low));
          q = v128.load32_splat(x, 4);
          b0 = i16x8.add(b0, dot(q, v0, next));
          b1 = i16x8.add(b1, dot(q, v1, next));
          v0 = i16x8.shr_u(v0, 4);
          v1 = i16x8.shr_u(v1, 4);
          q = v128.load32_splat(x, 8);
          a0 = i16x8.add(a0, dot(q, v0, low));
          a1 = i16x8.add(a1, dot(q, v1, low));
          q = v128.load32_splat(x, 12);
          b0 = i16x8.add(b0, dot(q, v0, next));
          b1 = i16x8.add(b1, dot(q, v1, next));
        }
        sum0 = i32x4.add(sum0, i32x4.extadd_pairwise_i16x8_s(i16x8.add(a0, i16x8.shr_s(b0, 2))));
        sum1 = i32x4.add(sum1, i32x4.extadd_pairwise_i16x8_s(i16x8.add(a1, i16x8.shr_s(b1, 2))));
      }
      for (const end = bytes + padded; x < end; x += 16, w += 32) {
        let v0 = v128.load(w);
        let v1 = v128.load(w, 16);
        let q = v128.load32_splat(x);
        let a0 = dot(q, v0, low);
        let a1 = dot(q, v1, low);
        q = v128.load32_splat(x, 4);
        let b0 = dot(q, v0, next);
        let b1 = dot(q, v1, next);
        v0 = i16x8.shr_u(v0, 4);
        v1 = i16x8.shr_u(v1, 4);
        q = v128.load32_splat(x, 8);
        a0 = i16x8.add(a0, dot(q, v0, low));
        a1 = i16x8.add(a1, dot(q, v1, low));
        q = v128.load32_splat(x, 12);
        b0 = i16x8.add(b0, dot(q, v0, next));
        b1 = i16x8.add(b1, dot(q, v1, next));
        sum0 = i32x4.add(sum0, i32x4.extadd_pairwise_i16x8_s(i16x8.add(a0, i16x8.shr_s(b0, 2))));
        sum1 = i32x4.add(sum1, i32x4.extadd_pairwise_i16x8_s(i16x8.add(a1, i16x8.shr_s(b1, 2))));
      }
    } else {
      // `b` holds four times its sum: half of the shifts. |Σ| < 2^31 up to 4 million columns.
      let a0 = i32x4.splat(0);
      let b0 = i32x4.splat(0);
      let a1 = i32x4.splat(0);
      let b1 = i32x4.splat(0);
      const end = pairs + ((<usize>padded) << 1);
      for (let x = pairs; x < end; x += 32, w += 32) {
        let v0 = v128.load(w);
        let v1 = v128.load(w, 16);
        let q = v128.load32_splat(x, 0);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, v128.and(v0, low)));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, v128.and(v1, low)));
        q = v128.load32_splat(x, 8);
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, v128.and(v0, next)));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, v128.and(v1, next)));
        v0 = i16x8.shr_u(v0, 4);
        v1 = i16x8.shr_u(v1, 4);
        q = v128.load32_splat(x, 16);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, v128.and(v0, low)));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, v128.and(v1, low)));
        q = v128.load32_splat(x, 24);
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, v128.and(v0, next)));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, v128.and(v1, next)));
        v0 = i16x8.shr_u(v0, 4);
        v1 = i16x8.shr_u(v1, 4);
        q = v128.load32_splat(x, 4);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, v128.and(v0, low)));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, v128.and(v1, low)));
        q = v128.load32_splat(x, 12);
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, v128.and(v0, next)));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, v128.and(v1, next)));
        v0 = i16x8.shr_u(v0, 4);
        v1 = i16x8.shr_u(v1, 4);
        q = v128.load32_splat(x, 20);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q, v128.and(v0, low)));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q, v128.and(v1, low)));
        q = v128.load32_splat(x, 28);
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, v128.and(v0, next)));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, v128.and(v1, next)));
      }
      sum0 = i32x4.add(a0, i32x4.shr_s(b0, 2));
      sum1 = i32x4.add(a1, i32x4.shr_s(b1, 2));
    }
    const to = out + ((<usize>row) << 2);
    storeTernary(to, centred(sum0, record), record, scale, rowEnd - row, accumulate);
    storeTernary(to + 16, centred(sum1, record), record, scale, rowEnd - row - 4, accumulate);
  }
}

/** Code of a ternary matrix, 0 … 2. */
// @ts-ignore: decorator
@inline
export function ternaryCode(weights: usize, padded: i32, row: i32, column: i32): i32 {
  const unit = weights + <usize>(row >> 3) * (padded << 1) + ((<usize>column >> 4) << 5);
  return (<i32>load<u8>(unit + ((row & 7) << 2) + (column & 3)) >> ((column & 12) >> 1)) & 3;
}

/** Layout `ternary`: out f32 [tokens][columns] = scale · (code − 1), or with the scale of each 256 columns if `blockScales` ≠ 0. */
export function rows_ternary(lookup: Lookup): void {
  let out = lookup.out;
  const weights = lookup.weights;
  const ids = lookup.ids;
  const tokens = lookup.tokens;
  const rows = lookup.rows;
  const columns = lookup.columns;
  const scale = lookup.scale;
  const blockScales = lookup.blockScales;
  const padded = (columns + 31) & ~31;
  for (let t = 0; t < tokens; t++, out += (<usize>columns) << 2) {
    const row = load<i32>(ids + (t << 2));
    if (<u32>row >= <u32>rows) {
      zeroRow(out, columns);
      continue;
    }
    for (let c = 0; c < columns; c++) {
      const factor = blockScales
        ? load<f32>(scaleOf(blockScales, row, (columns + 255) >> 8, c >> 8))
        : scale;
      store<f32>(out + ((<usize>c) << 2), <f32>(ternaryCode(weights, padded, row, c) - 1) * factor);
    }
  }
}
