import { FormatError } from "../errors.js";
import type { TensorInfo, TensorType } from "../formats/model-file.js";
import { blockShapes } from "./dequantise.js";

/**
 * How a matrix lies in memory. Rows are stored in groups of 8 (the last group padded), columns in blocks of 32 (the
 * last block padded with zeros), so that a vector lane is a row and a matrix is one sequential stream. Per group:
 * - `ternary`: 2-bit codes 0, 1, 2 for −1, 0, +1; per 16 columns 2 × 16 bytes (rows 0–3, rows 4–7), byte 4·r + c
 *   holding columns c, 4 + c, 8 + c, 12 + c of row r from the low bits up.
 * - `ternary-lut`: the same codes for look-ups, without groups: per 1024 rows, per 512 columns, per 32 rows, per 16 columns
 *   4 × 32 bytes: vector c holding columns c, 4 + c, 8 + c, 12 + c of rows 0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14,
 *   11, 15, then of rows 16 … 31 likewise. What remains at the end is a shorter unit; rows are a multiple of 32.
 * - `q4`: per block 8 f16 scales, then 4 × 2 × 16 bytes: vector j, byte 4·r + c holding column 4·j + c in the low
 *   nibble and 16 + 4·j + c in the high one; value = scale · (code − 8).
 * - `q4min`: as `q4` with 8 f16 minima after the scales; value = scale · code + minimum. `q4k`: the same in f32.
 * - `q6`: per block 8 f16 scales, for each half block 8 signed bytes that multiply them, for each half block 3 × 2 × 16
 *   bytes: vector j, byte 4·r + c holding the code of column 4·j + c, and in its top two bits bits 2j, 2j + 1 of the
 *   code of column 12 + c; value = scale · factor · (code − 32).
 * - `q8`: per block 8 f16 scales, then per 2 columns 8 × 2 signed bytes; value = scale · code.
 * - `codes`: per half block (16 columns) 8 f32 scales and 8 f32 minima, then per 4 columns 8 × 4 bytes, codes 0–63.
 * - `f16`, `bf16`, `f32`: per column 8 numbers; columns are not padded.
 */
export type WeightLayout =
  | "ternary"
  | "ternary-lut"
  | "q4"
  | "q4min"
  | "q4k"
  | "q6"
  | "q8"
  | "codes"
  | "f16"
  | "bf16"
  | "f32";

/** Rows per group: the unit in which threads share the rows of a matrix. */
export const ROW_GROUP = 8;
/** The same for layout `ternary-lut`, whose vectors hold 16 rows. */
export const LUT_ROWS = 32;
/** Columns per block. */
export const BLOCK = 32;

/** Columns including the zeros that fill the last block. */
export function paddedColumns(columns: number): number {
  return Math.ceil(columns / BLOCK) * BLOCK;
}

/** Bytes of one group of 8 rows. */
export function groupBytes(layout: WeightLayout, columns: number): number {
  const blocks = Math.ceil(columns / BLOCK);
  switch (layout) {
    case "ternary":
    case "ternary-lut":
      return blocks * 64;
    case "q4":
      return blocks * (16 + 128);
    case "q4min":
      return blocks * (32 + 128);
    case "q4k":
      return blocks * (64 + 128);
    case "q6":
      return blocks * (32 + 128 + 64);
    case "q8":
      return blocks * (16 + 256);
    case "codes":
      return blocks * (128 + 256);
    case "f16":
    case "bf16":
      return columns * 16;
    case "f32":
      return columns * 32;
  }
}

/** What a matrix becomes in memory. */
export interface WeightPlan {
  layout: WeightLayout;
  /** Bytes to reserve, a multiple of 16. */
  bytes: number;
}

/** What a matrix, usually that of the LM head, can be converted to. */
export type WeightTarget = "f16" | "q8" | "q6" | "q4";

const layouts: Record<TensorType, WeightLayout> = {
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
  Q4_0: "q4",
  Q4_1: "q4min",
  Q5_0: "q8",
  Q5_1: "codes",
  Q8_0: "q8",
  Q2_K: "codes",
  Q3_K: "q6",
  Q4_K: "q4k",
  Q5_K: "codes",
  Q6_K: "q6",
  TQ1_0: "ternary",
  TQ2_0: "ternary",
  I2_S: "ternary",
  HF_BITNET_U8: "ternary",
};

const isFloat = (type: TensorType) => type === "F32" || type === "F16" || type === "BF16";

/**
 * Layout and size of a matrix, from its type and shape alone.
 *
 * `target` converts: float matrices to 8, 6 or 4 bits with one scale per 32 columns, or `f16`, which keeps the floats as
 * they are stored. Matrices that are quantised already keep their exact values, unless the target is smaller.
 * @throws FormatError when the tensor is not a matrix, or has fewer bytes than its shape needs
 */
export function planWeight(
  tensor: TensorInfo & { quantise?: "absmean" | undefined },
  options: { target?: WeightTarget | undefined } = {},
): WeightPlan {
  const [rows, columns] = matrixShape(tensor);
  checkStored(tensor, rows, columns);
  const float = isFloat(tensor.type);
  let layout = layouts[tensor.type];
  if (tensor.quantise === "absmean" && float) layout = "ternary";
  else if (options.target !== undefined && options.target !== "f16" && layout !== "ternary") {
    const smaller = groupBytes(options.target, columns) < groupBytes(layout, columns);
    if (float || smaller) layout = options.target;
  }
  const groups = Math.ceil(rows / ROW_GROUP);
  let bytes = groups * groupBytes(layout, columns);
  // Room for one scale per 256 columns of each row, should the file turn out to need them.
  if (hasBlockScales(tensor.type)) bytes += groups * ROW_GROUP * blockScaleColumns(columns) * 4;
  return { layout, bytes: Math.ceil(bytes / 16) * 16 };
}

/** So that no memory is asked for on the word of a shape: the bytes of the file must be there. */
function checkStored(tensor: TensorInfo, rows: number, columns: number): void {
  const { type } = tensor;
  const block = blockShapes[type];
  const place = { file: tensor.source.name, tensor: tensor.name };
  if (block && columns % block.values !== 0)
    throw new FormatError(`${columns} columns are not whole ${type} blocks of ${block.values}`, place);
  let bytes: number;
  if (block) bytes = rows * (columns / block.values) * block.bytes;
  else if (type === "I2_S") bytes = (rows * columns) / 4 + 4;
  else bytes = Math.ceil(rows / 4) * columns;
  if (tensor.byteLength < bytes)
    throw new FormatError(
      `${rows} × ${columns} ${type} weights need ${bytes} bytes, there are ${tensor.byteLength}`,
      place,
    );
}

/** Ternary types whose file stores a scale per 256 columns. */
export function hasBlockScales(type: TensorType): boolean {
  return type === "TQ1_0" || type === "TQ2_0";
}

/** Scales per row of a ternary matrix with a scale per 256 columns. */
export function blockScaleColumns(columns: number): number {
  return Math.ceil(columns / 256);
}

/** `[rows, columns]`. */
export function matrixShape(tensor: TensorInfo): [rows: number, columns: number] {
  const [rows, columns] = tensor.shape;
  if (tensor.shape.length !== 2 || !rows || !columns)
    throw new FormatError(`A matrix was expected, the shape is [${tensor.shape}]`, {
      file: tensor.source.name,
      tensor: tensor.name,
    });
  return [rows, columns];
}
