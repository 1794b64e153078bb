import type { Thread } from "../runtime/thread.js";
import { paddedColumns } from "./layout.js";
import type { Weight } from "./weight.js";

/** Bytes of scratch one thread needs for products with matrices of up to `columns` columns. */
export function matmulScratchBytes(columns: number): number {
  return 44 * paddedColumns(columns) + 4096;
}

/**
 * out[t][r] = Σ_c weight[r][c] · x[t][c], f32 `[tokens][weight.rows]`; with `accumulate` it is added to what is there.
 * `activations` comes from `quantiseActivations` with `activationKind(weight.layout)`, or is `x` itself for `f32`.
 * Every thread does its share of the rows; no barrier inside. A number's bits do not depend on the count of tokens or
 * threads, nor on the build.
 *
 * @param scratch address of this thread's own `matmulScratchBytes(weight.columns)` bytes, a multiple of 16
 */
export function matmul(
  _thread: Thread,
  _out: number,
  _weight: Weight,
  _activations: number,
  _tokens: number,
  _options: { accumulate?: boolean | undefined; scratch: number },
): void {
  throw new Error("not yet");
}

/**
 * Rows of a matrix as f32: out[t] = weight[ids[t]], for tokens `tokenStart … tokenEnd − 1`; out is f32
 * `[tokens][weight.columns]`, ids are i32. An id outside the matrix gives zeros.
 */
export function embedRows(
  _thread: Thread,
  _out: number,
  _weight: Weight,
  _idsAddress: number,
  _tokens: number,
  _tokenStart: number,
  _tokenEnd: number,
): void {
  throw new Error("not yet");
}
