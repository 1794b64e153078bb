import type { LinearTensor, TensorInfo } from "../formats/model-file.js";
import type { Kernels } from "../runtime/kernels.js";
import type { Memory } from "../runtime/memory.js";
import type { WeightLayout, WeightPlan } from "./layout.js";

export { planWeight, type WeightLayout, type WeightPlan, type WeightTarget } from "./layout.js";

/** A matrix in memory. Plain data: can be sent to threads as JSON. */
export interface Weight {
  layout: WeightLayout;
  rows: number;
  columns: number;
  /** A multiple of 16. */
  address: number;
  bytes: number;
  /** Factor on the output; 1 except for ternary matrices. */
  scale: number;
  /** Address of f32 scales `[rows padded to 8][columns / 256]`, for ternary files whose blocks differ in scale. */
  blockScales?: number | undefined;
}

export interface LoadOptions {
  /** Address of memory for the bytes on their way, at least one row of the file. */
  staging: number;
  stagingBytes: number;
  /** Rows per head; needed for tensors with `rowOrder: "interleaved"`. */
  headDim?: number | undefined;
  signal?: AbortSignal | undefined;
  /** Called with the number of bytes read since the last call. */
  onBytes?: ((bytes: number) => void) | undefined;
}

/**
 * Streams a matrix from its source through `staging` into its final place at `address`.
 * @throws FormatError when the data holds codes that do not exist (with their offset), SourceError on short reads
 */
export async function loadWeight(
  _kernels: Kernels,
  _memory: Memory,
  _tensor: LinearTensor,
  _address: number,
  _plan: WeightPlan,
  _options: LoadOptions,
): Promise<Weight> {
  throw new Error("not yet");
}

/**
 * Reads a vector (norm weights, RoPE factors) as f32 to `address`.
 * @throws UnsupportedError when it is stored in a quantised type
 */
export async function loadVector(
  _memory: Memory,
  _tensor: TensorInfo,
  _address: number,
  _signal?: AbortSignal,
): Promise<void> {
  throw new Error("not yet");
}
