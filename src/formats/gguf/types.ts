import type { TensorType } from "../model-file.js";

/** How values of one ggml type lie in the file. `I2_S` is not made of blocks: see `tensorBytes`. */
export interface BlockFormat {
  type: TensorType;
  /** Values per block. */
  values: number;
  /** Bytes per block. */
  bytes: number;
}

/** Type ids of ggml (ggml.h, `enum ggml_type`) that this package runs; 36 is Microsoft's `GGML_TYPE_I2_S`. */
export const blockFormats: ReadonlyMap<number, BlockFormat> = new Map([
  [0, { type: "F32", values: 1, bytes: 4 }],
  [1, { type: "F16", values: 1, bytes: 2 }],
  [2, { type: "Q4_0", values: 32, bytes: 18 }],
  [3, { type: "Q4_1", values: 32, bytes: 20 }],
  [6, { type: "Q5_0", values: 32, bytes: 22 }],
  [7, { type: "Q5_1", values: 32, bytes: 24 }],
  [8, { type: "Q8_0", values: 32, bytes: 34 }],
  [10, { type: "Q2_K", values: 256, bytes: 84 }],
  [11, { type: "Q3_K", values: 256, bytes: 110 }],
  [12, { type: "Q4_K", values: 256, bytes: 144 }],
  [13, { type: "Q5_K", values: 256, bytes: 176 }],
  [14, { type: "Q6_K", values: 256, bytes: 210 }],
  [30, { type: "BF16", values: 1, bytes: 2 }],
  [34, { type: "TQ1_0", values: 256, bytes: 54 }],
  [35, { type: "TQ2_0", values: 256, bytes: 66 }],
  // Four values per byte, then one f32 scale and 28 unused bytes for the whole tensor.
  [36, { type: "I2_S", values: 4, bytes: 1 }],
]);

/** Bytes after the packed values of an I2_S tensor: an f32 scale and 28 unused ones. */
export const I2S_TAIL_BYTES = 32;

/** Names of types that exist but are not supported, for messages. */
const otherTypes: ReadonlyMap<number, string> = new Map([
  [4, "Q4_2 (removed)"],
  [5, "Q4_3 (removed)"],
  [9, "Q8_1"],
  [15, "Q8_K"],
  [16, "IQ2_XXS"],
  [17, "IQ2_XS"],
  [18, "IQ3_XXS"],
  [19, "IQ1_S"],
  [20, "IQ4_NL"],
  [21, "IQ3_S"],
  [22, "IQ2_S"],
  [23, "IQ4_XS"],
  [24, "I8"],
  [25, "I16"],
  [26, "I32"],
  [27, "I64"],
  [28, "F64"],
  [29, "IQ1_M"],
  [31, "Q4_0_4_4 (removed)"],
  [32, "Q4_0_4_8 (removed)"],
  [33, "Q4_0_8_8 (removed)"],
  [37, "I8_S"],
  [38, "TL1"],
  [39, "MXFP4 or TL2"],
  [40, "NVFP4"],
  [41, "Q1_0"],
  [42, "Q2_0"],
]);

/** Name of a type this package does not support, or `type N` for an unknown id. */
export function otherTypeName(id: number): string {
  const name = otherTypes.get(id);
  return name === undefined ? `type ${id}` : `${name} (type ${id})`;
}
