// Ternary matrices whose scale changes every 256 columns: TQ1_0 and TQ2_0 of models that were not trained ternary.
// y = (Σ over blocks, in column order, of f32(Σ (code − 1) · x) · blockScale) / activationScale.
import { Product } from "../../abi/product";
import { hiddenBytes, hiddenShorts } from "../opaque";
import { storeOutputs } from "../store";

/** Place of the scale of block `b` of a row: f32 [groups of 8 rows][blocks][8 rows]. */
// @ts-ignore: decorator
@inline
export function scaleOf(blockScales: usize, row: i32, blocks: i32, b: i32): usize {
  return blockScales + (<usize>((row >> 3) * (blocks << 3) + (b << 3) + (row & 7)) << 2);
}

/** Σ codes of 16-bit pairs, per 256 columns, to `sums` i32 [blocks]. */
// @ts-ignore: decorator
@inline
function blockSums(sums: usize, pairs: usize, padded: i32): void {
  const one = hiddenShorts(1);
  for (let start = 0; start < padded; start += 256, sums += 4) {
    const end = min(start + 256, padded);
    let sum = i32x4.splat(0);
    for (let c = start; c < end; c += 8)
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(v128.load(pairs + ((<usize>c) << 1)), one));
    store<i32>(
      sums,
      i32x4.extract_lane(sum, 0) +
        i32x4.extract_lane(sum, 1) +
        i32x4.extract_lane(sum, 2) +
        i32x4.extract_lane(sum, 3),
    );
  }
}

/**
 * `tokens` tokens, one after the other; records from `quantise_per_token`; `blockScales` as `scaleOf` says; out f32
 * [tokens][rows]; rows `rowStart` (a multiple of 8) to `rowEnd` − 1; scratch: 4 bytes per 256 columns.
 */
export function gemm_ternary_blocks(product: Product, rowStart: i32, rowEnd: i32): void {
  const out = product.out;
  const weights = product.weights;
  const records = product.activations;
  const tokens = product.tokens;
  const rows = product.rows;
  const columns = product.columns;
  const blockScales = product.blockScales;
  const accumulate = product.accumulate != 0;
  const scratch = product.scratch;
  const padded = (columns + 31) & ~31;
  const stride = <usize>(16 + 3 * padded);
  const blocks = (columns + 255) >> 8;
  const low = ASC_FEATURE_RELAXED_SIMD ? hiddenBytes(0x03) : hiddenShorts(0x03);
  const next = ASC_FEATURE_RELAXED_SIMD ? hiddenBytes(0x0c) : hiddenShorts(0x0c);
  for (let t = 0; t < tokens; t++) {
    const record = records + <usize>t * stride;
    const bytes = record + 16;
    const pairs = bytes + padded;
    const divisor = v128.load32_splat(record);
    blockSums(scratch, pairs, padded);
    let w = weights + <usize>rowStart * (padded >> 2);
    for (let row = rowStart; row < rowEnd; row += 8) {
      let total0 = f32x4.splat(0);
      let total1 = f32x4.splat(0);
      let scales = scaleOf(blockScales, row, blocks, 0);
      for (let b = 0; b < blocks; b++, scales += 32) {
        const start = b << 8;
        const count = min(256, padded - start);
        const end = w + ((<usize>count) << 1);
        let sum0 = i32x4.splat(0);
        let sum1 = i32x4.splat(0);
        // As in `gemv_ternary`: `b0`, `b1` hold four times their sums.
        let b0 = i32x4.splat(0);
        let b1 = i32x4.splat(0);
        if (ASC_FEATURE_RELAXED_SIMD) {
          for (let x = bytes + start; w < end; ) {
            let a0 = i16x8.splat(0);
            let a1 = i16x8.splat(0);
            let c0 = i16x8.splat(0);
            let c1 = i16x8.splat(0);
            for (const stop = min<usize>(w + 256, end); w < stop; w += 32, x += 16) {
              const v0 = v128.load(w);
              const v1 = v128.load(w, 16);
              const u0 = i16x8.shr_u(v0, 4);
              const u1 = i16x8.shr_u(v1, 4);
              let q = v128.load32_splat(x);
              a0 = i16x8.add(a0, i16x8.relaxed_dot_i8x16_i7x16_s(q, v128.and(v0, low)));
              a1 = i16x8.add(a1, i16x8.relaxed_dot_i8x16_i7x16_s(q, v128.and(v1, low)));
              q = v128.load32_splat(x, 4);
              c0 = i16x8.add(c0, i16x8.relaxed_dot_i8x16_i7x16_s(q, v128.and(v0, next)));
              c1 = i16x8.add(c1, i16x8.relaxed_dot_i8x16_i7x16_s(q, v128.and(v1, next)));
              q = v128.load32_splat(x, 8);
              a0 = i16x8.add(a0, i16x8.relaxed_dot_i8x16_i7x16_s(q, v128.and(u0, low)));
              a1 = i16x8.add(a1, i16x8.relaxed_dot_i8x16_i7x16_s(q, v128.and(u1, low)));
              q = v128.load32_splat(x, 12);
              c0 = i16x8.add(c0, i16x8.relaxed_dot_i8x16_i7x16_s(q, v128.and(u0, next)));
              c1 = i16x8.add(c1, i16x8.relaxed_dot_i8x16_i7x16_s(q, v128.and(u1, next)));
            }
            sum0 = i32x4.add(sum0, i32x4.extadd_pairwise_i16x8_s(i16x8.add(a0, i16x8.shr_s(c0, 2))));
            sum1 = i32x4.add(sum1, i32x4.extadd_pairwise_i16x8_s(i16x8.add(a1, i16x8.shr_s(c1, 2))));
          }
        } else {
          for (let x = pairs + ((<usize>start) << 1); w < end; w += 32, x += 32) {
            let v0 = v128.load(w);
            let v1 = v128.load(w, 16);
            // Fields from the low bits up: columns 0 and 2 of each quad, then 1 and 3.
            for (let part: usize = 0; part < 8; part += 4) {
              let q = v128.load32_splat(x + part);
              sum0 = i32x4.add(sum0, i32x4.dot_i16x8_s(q, v128.and(v0, low)));
              sum1 = i32x4.add(sum1, i32x4.dot_i16x8_s(q, v128.and(v1, low)));
              q = v128.load32_splat(x + part, 8);
              b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, v128.and(v0, next)));
              b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, v128.and(v1, next)));
              v0 = i16x8.shr_u(v0, 4);
              v1 = i16x8.shr_u(v1, 4);
              q = v128.load32_splat(x + part, 16);
              sum0 = i32x4.add(sum0, i32x4.dot_i16x8_s(q, v128.and(v0, low)));
              sum1 = i32x4.add(sum1, i32x4.dot_i16x8_s(q, v128.and(v1, low)));
              q = v128.load32_splat(x + part, 24);
              b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q, v128.and(v0, next)));
              b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q, v128.and(v1, next)));
              v0 = i16x8.shr_u(v0, 4);
              v1 = i16x8.shr_u(v1, 4);
            }
          }
          sum0 = i32x4.add(sum0, i32x4.shr_s(b0, 2));
          sum1 = i32x4.add(sum1, i32x4.shr_s(b1, 2));
        }
        const offset = v128.load32_splat(scratch + ((<usize>b) << 2));
        sum0 = i32x4.sub(sum0, offset);
        sum1 = i32x4.sub(sum1, offset);
        total0 = f32x4.add(total0, f32x4.mul(f32x4.convert_i32x4_s(sum0), v128.load(scales)));
        total1 = f32x4.add(total1, f32x4.mul(f32x4.convert_i32x4_s(sum1), v128.load(scales, 16)));
      }
      const to = out + ((<usize>t * rows + row) << 2);
      storeOutputs(to, f32x4.div(total0, divisor), rowEnd - row, accumulate);
      storeOutputs(to + 16, f32x4.div(total1, divisor), rowEnd - row - 4, accumulate);
    }
  }
}
