import type { Thread } from "../threads/thread.js";
import { BLOCK, paddedColumns, type WeightLayout } from "./layout.js";

/**
 * What a matrix product reads: `int8-token`, 8-bit codes with one scale per token (BitNet); `int8-block`, one scale
 * per 32 columns; `f32`, the activations themselves.
 */
export type ActivationKind = "int8-token" | "int8-block" | "f32";

/** The activations a layout is multiplied with. */
export function activationKind(layout: WeightLayout): ActivationKind {
  if (layout === "ternary" || layout === "ternary-lut") return "int8-token";
  return layout === "f16" || layout === "bf16" || layout === "f32" ? "f32" : "int8-block";
}

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
 * Quantises rows `tokenStart … tokenEnd − 1` of `x` (f32 `[tokens][columns]`) into the buffer at `address` (a multiple
 * of 16). `int8-token`: scale = 127 / max(max|x|, 1e-5), code = x · scale rounded half to even. `int8-block`: the same
 * per 32 columns with scale max|x| / 127. Nothing to do for `f32`: give the product `x` itself.
 */
export function quantiseActivations(
  thread: Thread,
  kind: ActivationKind,
  address: number,
  x: number,
  _tokens: number,
  columns: number,
  tokenStart: number,
  tokenEnd: number,
): void {
  if (kind === "f32" || tokenEnd <= tokenStart) return;
  const to = address + tokenStart * activationStride(kind, columns);
  const from = x + tokenStart * columns * 4;
  if (kind === "int8-token") thread.kernels.quantise_per_token(to, from, tokenEnd - tokenStart, columns);
  else thread.kernels.quantise_per_block(to, from, tokenEnd - tokenStart, columns);
}
