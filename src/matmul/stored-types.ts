import type { TensorType } from "../formats/model-file.js";
import type { Kernels } from "../kernels/generated.js";
import type { LayoutName } from "./layouts/layout.js";

/** Kernels that take a `Repack` record and return −1, or the offset in the source of the first impossible number. */
export type RepackKernel = Extract<keyof Kernels, `repack_${string}`>;

/** A type in which files store matrices. */
export interface StoredType {
  /** Values and bytes of one block; types without have rows or columns mixed. */
  block?: { values: number; bytes: number };
  /** What a matrix of this type becomes in memory, when nothing else is asked for. */
  layout: LayoutName;
  repack: RepackKernel;
  /** For floats: their number in a `Repack` record. */
  float?: 0 | 1 | 2;
  /** Whether every 256 columns have a scale of their own. */
  blockScales?: boolean;
}

const block = (values: number, bytes: number) => ({ block: { values, bytes } });

/** Every type of tensor that can be loaded. */
export const storedTypes: Readonly<Record<TensorType, StoredType>> = {
  F32: { ...block(1, 4), layout: "f32", repack: "repack_float", float: 0 },
  F16: { ...block(1, 2), layout: "f16", repack: "repack_float", float: 1 },
  BF16: { ...block(1, 2), layout: "bf16", repack: "repack_float", float: 2 },
  Q4_0: { ...block(32, 18), layout: "q4", repack: "repack_q4_0" },
  Q4_1: { ...block(32, 20), layout: "q4min", repack: "repack_q4_1" },
  Q5_0: { ...block(32, 22), layout: "q8", repack: "repack_q5_0" },
  Q5_1: { ...block(32, 24), layout: "codes", repack: "repack_q5_1" },
  Q8_0: { ...block(32, 34), layout: "q8", repack: "repack_q8_0" },
  Q2_K: { ...block(256, 84), layout: "codes", repack: "repack_q2_k" },
  Q3_K: { ...block(256, 110), layout: "q6", repack: "repack_q3_k" },
  Q4_K: { ...block(256, 144), layout: "q4k", repack: "repack_q4_k" },
  Q5_K: { ...block(256, 176), layout: "codes", repack: "repack_q5_k" },
  Q6_K: { ...block(256, 210), layout: "q6", repack: "repack_q6_k" },
  TQ1_0: { ...block(256, 54), layout: "ternary", repack: "repack_tq1_0", blockScales: true },
  TQ2_0: { ...block(256, 66), layout: "ternary", repack: "repack_tq2_0", blockScales: true },
  I2_S: { layout: "ternary", repack: "repack_i2s" },
  HF_BITNET_U8: { layout: "ternary", repack: "repack_hf_bitnet" },
};

/** Kernels that quantise floats to a layout. */
export const floatRepacks: Partial<Record<LayoutName, RepackKernel>> = {
  q8: "repack_float_q8",
  q6: "repack_float_q6",
  q4: "repack_float_q4",
};
