import type { Kernels } from "../../kernels/generated.js";

/** How the rows of a matrix lie in memory; see the file of each. Kernels of the same name are in assembly/matmul/layouts. */
export type LayoutName =
  | "ternary"
  | "ternary-lut"
  | "ternary-rows"
  | "ternary-columns"
  | "q4"
  | "q4min"
  | "q4k"
  | "q6"
  | "q8"
  | "codes"
  | "f16"
  | "bf16"
  | "f32";

/**
 * What a matrix product reads: `int8-token`, 8-bit codes with one scale per token (BitNet); `int8-block`, one scale
 * per 32 columns; `f32`, the activations themselves.
 */
export type ActivationKind = "int8-token" | "int8-block" | "f32";

/** Kernels that multiply some rows of a matrix: a `Product` record and a range of rows. */
export type ProductKernel = Extract<keyof Kernels, `gem${"v" | "m"}_${string}`>;
/** Kernels that read rows of a matrix as f32: a `Lookup` record. */
export type LookupKernel = Extract<keyof Kernels, `rows_${string}`>;

/**
 * A weight layout. Unless said otherwise rows are stored in groups of 8 (the last group padded) and columns in blocks of
 * 32 (the last block padded with zeros), so that a vector lane is a row and a matrix is one sequential stream.
 */
export interface WeightLayout {
  /** What its kernels multiply with. */
  activations: ActivationKind;
  /** Rows that one thread must take together. */
  rowUnit: number;
  /** Bytes of 8 rows. */
  groupBytes(columns: number): number;
  /** The kernels for one token, for up to `mostFew`, and for more; all give the same bits. */
  one: ProductKernel;
  few: ProductKernel;
  many: ProductKernel;
  /** Beyond so many tokens unpacking the weights first pays. Default: `FEW_TOKENS`. */
  mostFew?: number;
  /** In place of `few` where the 32-bit dot products are the faster ones. */
  few32?: ProductKernel;
  /** For matrices with a scale per 256 columns, any number of tokens. */
  blockScales?: ProductKernel;
  rows: LookupKernel;
  /** Whether its kernels heed `dot32`. */
  choosesDots?: boolean;
}

/** Rows per group. */
export const ROW_GROUP = 8;
/** Columns per block. */
export const BLOCK = 32;

/** Columns including the zeros that fill the last block. */
export function paddedColumns(columns: number): number {
  return Math.ceil(columns / BLOCK) * BLOCK;
}

/** Rows or columns of a ternary matrix in 16 bytes of a line. */
export const LINE_UNIT = 64;

/** Bytes of a row or a column of so many weights in the layouts that have lines. */
export function lineBytes(count: number): number {
  return Math.ceil(count / LINE_UNIT) * 16;
}

/** `groupBytes` of a layout that spends so many bytes on a block of 32 columns of 8 rows. */
export function bytesPerBlock(bytes: number): (columns: number) => number {
  return (columns) => Math.ceil(columns / BLOCK) * bytes;
}
