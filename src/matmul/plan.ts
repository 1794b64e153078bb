import { FormatError } from "../errors.js";
import type { TensorInfo } from "../formats/model-file.js";
import { layouts } from "./layouts/index.js";
import { type LayoutName, lineBytes, ROW_GROUP } from "./layouts/layout.js";
import { storedTypes } from "./stored-types.js";

/** What a matrix becomes in memory. */
export interface WeightPlan {
  layout: LayoutName;
  /** Bytes to reserve, a multiple of 16. */
  bytes: number;
}

/** What a matrix, usually that of the LM head, can be converted to. */
export type WeightTarget = "f16" | "q8" | "q6" | "q4";

/** Ternary matrices of which single rows or single columns are wanted: layouts `ternary-rows` and `ternary-columns`. */
export type Lines = "rows" | "columns";

/**
 * Layout and size of a matrix, from its type and shape alone.
 *
 * `target` converts: float matrices to 8, 6 or 4 bits with one scale per 32 columns, or `f16`, which keeps the floats as
 * they are stored. Matrices that are quantised already keep their exact values, unless the target is smaller.
 * @throws FormatError when the tensor is not a matrix, or has fewer bytes than its shape needs
 */
export function planWeight(
  tensor: TensorInfo & { quantise?: "absmean" | undefined },
  options: { target?: WeightTarget | undefined; lines?: Lines | undefined } = {},
): WeightPlan {
  const [rows, columns] = matrixShape(tensor);
  checkStored(tensor, rows, columns);
  const type = storedTypes[tensor.type];
  const float = type.float !== undefined;
  let { layout } = type;
  if (tensor.quantise === "absmean" && float) layout = "ternary";
  else if (options.target !== undefined && options.target !== "f16" && layout !== "ternary") {
    const smaller = layouts[options.target].groupBytes(columns) < layouts[layout].groupBytes(columns);
    if (float || smaller) layout = options.target;
  }
  const groups = Math.ceil(rows / ROW_GROUP);
  let bytes = groups * layouts[layout].groupBytes(columns);
  // Room for one scale per 256 columns of each row, should the file turn out to need them.
  if (type.blockScales) bytes += groups * ROW_GROUP * blockScaleColumns(columns) * 4;
  // The lines of either layout may be longer than what they are made from.
  if (layout === "ternary" && options.lines === "rows")
    bytes = Math.max(bytes, groups * ROW_GROUP * lineBytes(columns));
  if (layout === "ternary" && options.lines === "columns") bytes = Math.max(bytes, lineBytes(rows) * columns);
  return { layout, bytes: Math.ceil(bytes / 16) * 16 };
}

/** So that no memory is asked for on the word of a shape: the bytes of the file must be there. */
function checkStored(tensor: TensorInfo, rows: number, columns: number): void {
  const { type } = tensor;
  const { block } = storedTypes[type];
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
