// Many tokens × the layouts with a scale per block of columns. One driver unpacks a segment of four panels at a time and
// multiplies it with all tokens; only unpacking differs. Out f32 [tokens][rows]; activations from `quantise_per_block`;
// scratch: `matmul_scratch_bytes`; rows `rowStart` (a multiple of 8) to `rowEnd` − 1.
import { Product } from "../../abi/product";
import { recordBytes } from "../blocks";
import {
  SEGMENT, EIGHT, GROUP_BYTES, MINIMUM, multiplySegment, PASS_GROUPS, SIGNED, storeSums, SUM_BYTES, TOKEN_BATCH,
} from "../gemm-blocks";
import { unpackCodes } from "./codes";
import { parameterBytes, Q4, Q4_K, Q4_MIN, unpackQ4 } from "./q4";
import { Q6_BLOCK_BYTES, unpackQ6 } from "./q6";
import { unpackQ8 } from "./q8";

// The layouts besides the three of q4.
export const Q6: i32 = 3;
export const Q8: i32 = 4;
export const CODES: i32 = 5;

/** Bytes of 32 columns of 8 rows. */
// @ts-ignore: decorator
@inline
export function blockBytes(layout: i32): i32 {
  return layout == Q6 ? Q6_BLOCK_BYTES : layout == Q8 ? 272 : layout == CODES ? 384 : 128 + parameterBytes(layout);
}

// @ts-ignore: decorator
@inline
function unpack(layout: i32, to: usize, w: usize, columns: i32): void {
  if (layout == Q6) unpackQ6(to, w, columns);
  else if (layout == Q8) unpackQ8(to, w, columns);
  else if (layout == CODES) unpackCodes(to, w, columns);
  else unpackQ4(layout, to, w, columns);
}

// @ts-ignore: decorator
@inline
function gemm(layout: i32, product: Product, rowStart: i32, rowEnd: i32): void {
  const out = product.out;
  const weights = product.weights;
  const records = product.activations;
  const tokens = product.tokens;
  const rows = product.rows;
  const accumulate = product.accumulate != 0;
  const scratch = product.scratch;
  const padded = (product.columns + 31) & ~31;
  const stride = recordBytes(padded);
  const bytes = ASC_FEATURE_RELAXED_SIMD && layout <= Q4_K;
  const halves = layout == Q6 || layout == CODES;
  const mode =
    layout == Q4 ? (ASC_FEATURE_RELAXED_SIMD ? EIGHT : SIGNED) : layout == Q6 || layout == Q8 ? SIGNED : MINIMUM;
  const groupBytes = <usize>(padded >> 5) * blockBytes(layout);
  const unpacked = scratch + PASS_GROUPS * SUM_BYTES;
  for (let first = 0; first < tokens; first += TOKEN_BATCH) {
    const batch = min(tokens - first, TOKEN_BATCH);
    const from = records + <usize>first * stride;
    for (let row = rowStart; row < rowEnd; row += 8 * PASS_GROUPS) {
      const groups = min((rowEnd - row + 7) >> 3, PASS_GROUPS);
      memory.fill(scratch, 0, PASS_GROUPS * SUM_BYTES);
      for (let start = 0; start < padded; start += SEGMENT) {
        const count = min(padded - start, SEGMENT);
        for (let g = 0; g < groups; g++) {
          const w = weights + <usize>((row >> 3) + g) * groupBytes + <usize>(start >> 5) * blockBytes(layout);
          unpack(layout, unpacked + <usize>g * GROUP_BYTES, w, count);
        }
        multiplySegment(scratch, unpacked, groups, from, batch, padded, start, count, bytes, halves, mode);
      }
      for (let g = 0; g < groups; g++)
        storeSums(
          out + ((<usize>first * rows) << 2), scratch + <usize>g * SUM_BYTES, batch, rows, row + 8 * g, rowEnd, accumulate,
        );
    }
  }
}

/** Layout `q4`. */
export function gemm_q4(product: Product, rowStart: i32, rowEnd: i32): void {
  gemm(Q4, product, rowStart, rowEnd);
}

/** Layout `q4min`. */
export function gemm_q4min(product: Product, rowStart: i32, rowEnd: i32): void {
  gemm(Q4_MIN, product, rowStart, rowEnd);
}

/** Layout `q4k`. */
export function gemm_q4k(product: Product, rowStart: i32, rowEnd: i32): void {
  gemm(Q4_K, product, rowStart, rowEnd);
}

/** Layout `q6`. */
export function gemm_q6(product: Product, rowStart: i32, rowEnd: i32): void {
  gemm(Q6, product, rowStart, rowEnd);
}

/** Layout `q8`. */
export function gemm_q8(product: Product, rowStart: i32, rowEnd: i32): void {
  gemm(Q8, product, rowStart, rowEnd);
}

/** Layout `codes`. */
export function gemm_codes(product: Product, rowStart: i32, rowEnd: i32): void {
  gemm(CODES, product, rowStart, rowEnd);
}
