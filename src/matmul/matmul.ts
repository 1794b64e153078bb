import { Product } from "../kernels/generated.js";
import { share, type Thread } from "../threads/thread.js";
import { activationKind, activationStride } from "./activations.js";
import { chooseDots, type DotChoice } from "./dots.js";
import type { Gemm, Gemv } from "./kernels.js";
import { LUT_ROWS, paddedColumns, ROW_GROUP } from "./layout.js";
import type { Weight } from "./weight.js";

/** So many tokens are faster looked up one by one than multiplied together. */
const LUT_TOKENS = 4;

/** Bytes of scratch one thread needs for products with matrices of up to `columns` columns. */
export function matmulScratchBytes(columns: number): number {
  // Sums, unpacked columns and packed tokens of a pass; the same of the relaxed build, and per 512 columns where the sums
  // of 128 tokens start; 8 rows of floats, or tables of 16 bytes per column.
  const pass = 8 * (8192 + 8192) + 4096;
  const relaxedPass = 4 * (4096 + 20480) + 512 * Math.ceil(columns / 512);
  return Math.max(pass, relaxedPass, 32 * paddedColumns(columns));
}

/**
 * out[t][r] = Σ_c weight[r][c] · x[t][c], f32 `[tokens][weight.rows]`; with `accumulate` it is added to what is there.
 * `activations` comes from `quantiseActivations` with `activationKind(weight.layout)`, or is `x` itself for `f32`.
 * Every thread does its share of the rows; no barrier inside. A number's bits do not depend on the count of tokens or
 * threads, nor on the build.
 *
 * @param options `scratch`: address of this thread's own `matmulScratchBytes(weight.columns)` bytes, a multiple of 16;
 * `dots`: which instructions to use, for tests and measurements; by default the faster ones on this processor
 */
export function matmul(
  thread: Thread,
  out: number,
  weight: Weight,
  activations: number,
  tokens: number,
  options: { accumulate?: boolean | undefined; scratch: number; dots?: DotChoice | undefined },
): void {
  const { kernels } = thread;
  const { address, rows, columns, scale } = weight;
  const [start, end] = share(thread, rows, weight.layout === "ternary-lut" ? LUT_ROWS : ROW_GROUP);
  if (start >= end || tokens === 0) return;
  const accumulate = options.accumulate ? 1 : 0;
  const { scratch } = options;
  if (weight.layout === "ternary") {
    const dots = options.dots ?? chooseDots(thread, scratch);
    if (weight.blockScales !== undefined)
      kernels.gemm_ternary_blocks(
        out,
        address,
        activations,
        tokens,
        rows,
        columns,
        start,
        end,
        weight.blockScales,
        accumulate,
        scratch,
      );
    else if (tokens === 1) {
      const { records } = thread;
      const blockScales = 0;
      const dot32 = dots.gemv;
      Product.write(thread.view(), records, {
        out,
        weights: address,
        blockScales,
        activations,
        scratch,
        tokens,
        rows,
        columns,
        scale,
        accumulate,
        dot32,
      });
      kernels.gemv_ternary(records, start, end);
    } else
      kernels.gemm_ternary(
        out,
        address,
        activations,
        tokens,
        rows,
        columns,
        start,
        end,
        scale,
        accumulate,
        scratch,
        dots.gemm,
      );
    return;
  }
  if (weight.layout === "ternary-lut") {
    if (tokens > LUT_TOKENS)
      kernels.gemm_ternary_lut(
        out,
        address,
        activations,
        tokens,
        rows,
        columns,
        start,
        end,
        scale,
        accumulate,
        scratch,
      );
    else
      for (let t = 0; t < tokens; t++) {
        const [to, record] = [out + t * rows * 4, activations + t * activationDistance(weight)];
        kernels.gemv_ternary_lut(to, address, record, rows, columns, start, end, scale, accumulate, scratch);
      }
    return;
  }
  let gemv: Gemv;
  let gemm: Gemm;
  switch (weight.layout) {
    case "q4":
      gemv = kernels.gemv_q4;
      gemm = kernels.gemm_q4;
      break;
    case "q4min":
      gemv = kernels.gemv_q4min;
      gemm = kernels.gemm_q4min;
      break;
    case "q4k":
      gemv = kernels.gemv_q4k;
      gemm = kernels.gemm_q4k;
      break;
    case "q6":
      gemv = kernels.gemv_q6;
      gemm = kernels.gemm_q6;
      break;
    case "q8":
      gemv = kernels.gemv_q8;
      gemm = kernels.gemm_q8;
      break;
    case "codes":
      gemv = kernels.gemv_codes;
      gemm = kernels.gemm_codes;
      break;
    case "f16":
      gemv = kernels.gemv_f16;
      gemm = kernels.gemm_f16;
      break;
    case "bf16":
      gemv = kernels.gemv_bf16;
      gemm = kernels.gemm_bf16;
      break;
    case "f32":
      gemv = kernels.gemv_f32;
      gemm = kernels.gemm_f32;
      break;
  }
  if (tokens === 1) gemv(out, address, activations, columns, start, end, accumulate);
  else gemm(out, address, activations, tokens, rows, columns, start, end, accumulate, scratch);
}

/** Distance in bytes between the activations of two tokens, as `matmul` expects them for this matrix. */
export function activationDistance(weight: Weight): number {
  const kind = activationKind(weight.layout);
  return kind === "f32" ? weight.columns * 4 : activationStride(kind, weight.columns);
}

/**
 * Rows of a matrix as f32: out[t] = weight[ids[t]], for tokens `tokenStart … tokenEnd − 1`; out is f32
 * `[tokens][weight.columns]`, ids are i32. An id outside the matrix gives zeros.
 */
export function embedRows(
  thread: Thread,
  out: number,
  weight: Weight,
  idsAddress: number,
  _tokens: number,
  tokenStart: number,
  tokenEnd: number,
): void {
  const { kernels } = thread;
  const { address, rows, columns } = weight;
  const count = tokenEnd - tokenStart;
  if (count <= 0) return;
  const to = out + tokenStart * columns * 4;
  const ids = idsAddress + tokenStart * 4;
  switch (weight.layout) {
    case "ternary":
      kernels.rows_ternary(to, address, ids, count, rows, columns, weight.scale, weight.blockScales ?? 0);
      break;
    case "ternary-lut":
      kernels.rows_ternary_lut(to, address, ids, count, rows, columns, weight.scale);
      break;
    case "q4":
      kernels.rows_q4(to, address, ids, count, rows, columns, 0);
      break;
    case "q4min":
      kernels.rows_q4(to, address, ids, count, rows, columns, 1);
      break;
    case "q4k":
      kernels.rows_q4(to, address, ids, count, rows, columns, 2);
      break;
    case "q6":
      kernels.rows_q6(to, address, ids, count, rows, columns);
      break;
    case "q8":
      kernels.rows_q8(to, address, ids, count, rows, columns);
      break;
    case "codes":
      kernels.rows_codes(to, address, ids, count, rows, columns);
      break;
    case "f32":
      kernels.rows_float(to, address, ids, count, rows, columns, 0);
      break;
    case "f16":
      kernels.rows_float(to, address, ids, count, rows, columns, 1);
      break;
    case "bf16":
      kernels.rows_float(to, address, ids, count, rows, columns, 2);
      break;
  }
}
