import type { Thread } from "../threads/thread.js";
import { type ActivationKind, BLOCK, paddedColumns } from "./layouts/layout.js";

export type { ActivationKind } from "./layouts/layout.js";

/**
 * Bytes of one token's quantised activations; tokens follow each other at this distance. 0 for `f32`.
 * `int8-token`: f32 scale, i32 sum, 8 bytes unused, i8 codes, i16 codes. `int8-block`: i8 codes, i16 codes, per block
 * f32 scale and f32 sums of all 32 codes, of the first 16 and of the last 16, then 320 unused bytes. The i16 codes are in the order
 * 0, 2, 1, 3 of every four columns, which is how the kernels meet them.
 */
export function activationStride(kind: ActivationKind, columns: number): number {
  const padded = paddedColumns(columns);
  if (kind === "f32") return 0;
  return kind === "int8-token" ? 16 + 3 * padded : 3 * padded + (padded / BLOCK) * 16 + 320;
}

/** Bytes of the quantised activations of `tokens` tokens; 0 for `f32`. */
export function activationBytes(kind: ActivationKind, tokens: number, columns: number): number {
  return tokens * activationStride(kind, columns);
}

/**
 * Quantises the rows `[start, end)` of `x` (f32 `[tokens][columns]`) into the buffer at `address` (a multiple of 16).
 * `int8-token`: scale = 127 / max(max|x|, 1e-5), code = x · scale rounded half to even. `int8-block`: the same per 32
 * columns with scale max|x| / 127. Nothing to do for `f32`: give the product `x` itself.
 */
export function quantiseActivations(
  thread: Thread,
  kind: ActivationKind,
  address: number,
  x: number,
  columns: number,
  [start, end]: readonly [start: number, end: number],
): void {
  if (kind === "f32" || end <= start) return;
  const to = address + start * activationStride(kind, columns);
  const from = x + start * columns * 4;
  if (kind === "int8-token") thread.kernels.quantise_per_token(to, from, end - start, columns);
  else thread.kernels.quantise_per_block(to, from, end - start, columns);
}
