// Codes 0–63, f32 scale and minimum per 16 columns, × int8 activations with one scale per 32 columns: layout `codes`.
import { Product } from "../../abi/product";
import { blockShare, widened } from "../blocks";
import { hiddenShorts } from "../opaque";
import { storeOutputs } from "../store";

/** One token × layout `codes`; `record` from `quantise_per_block`; rows `rowStart` (a multiple of 8) to `rowEnd` − 1. */
export function gemv_codes(product: Product, rowStart: i32, rowEnd: i32): void {
  const out = product.out;
  const weights = product.weights;
  const record = product.activations;
  const columns = product.columns;
  const accumulate = product.accumulate != 0;
  const padded = (columns + 31) & ~31;
  const pairs = record + padded;
  const parameters = record + <usize>padded * 3;
  let w = weights + <usize>(rowStart >> 3) * (padded >> 4) * 192;
  for (let row = rowStart; row < rowEnd; row += 8) {
    let total0 = f32x4.splat(0);
    let total1 = f32x4.splat(0);
    let x = ASC_FEATURE_RELAXED_SIMD ? record : pairs;
    for (let half = 0; half < padded >> 4; half++) {
      let dot0 = i32x4.splat(0);
      let dot1 = i32x4.splat(0);
      if (ASC_FEATURE_RELAXED_SIMD) {
        for (let j: usize = 0; j < 2; j++) {
          // 2 · (2 · 127 · 63) = 32004: two products fit 16 bits.
          const at = w + 64 + (j << 6);
          const q0 = v128.load32_splat(x + (j << 3));
          const q1 = v128.load32_splat(x + (j << 3), 4);
          const a0 = i16x8.relaxed_dot_i8x16_i7x16_s(q0, v128.load(at));
          const a1 = i16x8.relaxed_dot_i8x16_i7x16_s(q0, v128.load(at, 16));
          const b0 = i16x8.relaxed_dot_i8x16_i7x16_s(q1, v128.load(at, 32));
          const b1 = i16x8.relaxed_dot_i8x16_i7x16_s(q1, v128.load(at, 48));
          dot0 = i32x4.add(dot0, widened(i16x8.add(a0, b0)));
          dot1 = i32x4.add(dot1, widened(i16x8.add(a1, b1)));
        }
        x += 16;
      } else {
        const mask = hiddenShorts(0xff);
        for (let j: usize = 0; j < 4; j++) {
          const v0 = v128.load(w + (j << 5), 64);
          const v1 = v128.load(w + (j << 5), 80);
          const even = v128.load32_splat(x + (j << 3));
          const odd = v128.load32_splat(x + (j << 3), 4);
          dot0 = i32x4.add(dot0, i32x4.dot_i16x8_s(even, v128.and(v0, mask)));
          dot1 = i32x4.add(dot1, i32x4.dot_i16x8_s(even, v128.and(v1, mask)));
          dot0 = i32x4.add(dot0, i32x4.dot_i16x8_s(odd, i16x8.shr_u(v0, 8)));
          dot1 = i32x4.add(dot1, i32x4.dot_i16x8_s(odd, i16x8.shr_u(v1, 8)));
        }
        x += 32;
      }
      const p = parameters + ((half >> 1) << 4);
      const xScale = v128.load32_splat(p);
      const sum = v128.load32_splat(p + ((half & 1) << 2), 8);
      total0 = f32x4.add(total0, blockShare(dot0, v128.load(w), v128.load(w, 32), sum, xScale));
      total1 = f32x4.add(total1, blockShare(dot1, v128.load(w, 16), v128.load(w, 48), sum, xScale));
      w += 192;
    }
    const to = out + ((<usize>row) << 2);
    storeOutputs(to, total0, rowEnd - row, accumulate);
    storeOutputs(to + 16, total1, rowEnd - row - 4, accumulate);
  }
}

/** Unpacks the blocks of `columns` columns for `multiplySegment`, as blocks of 16. */
// @ts-ignore: decorator
@inline
export function unpackCodes(to: usize, w: usize, columns: i32): void {
  const mask = hiddenShorts(0xff);
  for (let c = 0; c < columns; c += 16) {
    memory.copy(to, w, 64);
    w += 64;
    to += 64;
    for (let j = 0; j < 4; j++, w += 32, to += 64) {
      const v0 = v128.load(w);
      const v1 = v128.load(w, 16);
      v128.store(to, v128.and(v0, mask));
      v128.store(to, v128.and(v1, mask), 16);
      v128.store(to, i16x8.shr_u(v0, 8), 32);
      v128.store(to, i16x8.shr_u(v1, 8), 48);
    }
  }
}

/** The number at a column of row `lane` of a panel. */
// @ts-ignore: decorator
@inline
export function valueCodes(panel: usize, lane: i32, column: i32): f32 {
  const half = panel + <usize>(column >> 4) * 192;
  const code = <i32>load<u8>(half + 64 + (((column & 15) >> 2) << 5) + (lane << 2) + (column & 3));
  return load<f32>(half + (lane << 2)) * <f32>code + load<f32>(half + 32 + (lane << 2));
}
