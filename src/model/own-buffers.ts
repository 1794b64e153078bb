import { activationStride } from "../matmul/activations.js";
import type { Buffers, ModelPlan } from "./plan.js";

/**
 * The buffers of a pass over a lone row, as a thread sees them: its own copy of what it norms and quantises for itself, in
 * the room of the row of twice its index.
 */
export function ownBuffers({ config, buffers }: ModelPlan, index: number): Buffers {
  const { hidden, heads, headDim, ffn } = config;
  const widest = Math.max(hidden, heads * headDim, ffn);
  const row = 2 * index;
  const { normed, activations } = buffers;
  return {
    ...buffers,
    normed: normed + row * Math.max(hidden, heads * headDim) * 4,
    activations: {
      "int8-token": activations["int8-token"] + row * activationStride("int8-token", widest),
      "int8-block": activations["int8-block"] + row * activationStride("int8-block", widest),
    },
  };
}
