import type { ModelConfig } from "../config.js";
import { type Kernels, RopeScaling } from "../kernels/generated.js";
import type { Memory } from "../memory/memory.js";
import type { Thread } from "../threads/thread.js";

/** Bytes of the table of cosines and sines: f32 [contextLength][2][headDim / 2]. */
export function ropeTableBytes(config: ModelConfig, contextLength: number): number {
  return contextLength * config.headDim * 4;
}

type Room = Pick<Memory, "alloc" | "free" | "u8">;

/**
 * Computes the table inside WebAssembly, in f64, so that it has the same bits everywhere.
 * @param factors address of the `rope_freqs` tensor (f32 [headDim / 2], frequencies are divided by it), or 0; it takes
 * the place of `config.ropeScaling`
 */
export function fillRopeTable(
  kernels: Kernels,
  memory: Room,
  table: number,
  config: ModelConfig,
  contextLength: number,
  factors: number,
): void {
  const scaling = config.ropeScaling;
  const record = scaling ? memory.alloc(RopeScaling.bytes, "RoPE scaling") : 0;
  if (scaling)
    RopeScaling.write(new DataView(memory.u8(record, RopeScaling.bytes).buffer), record, {
      factor: scaling.factor,
      low: scaling.lowFreqFactor,
      high: scaling.highFreqFactor,
      original: scaling.originalContextLength,
    });
  kernels.rope_table(table, contextLength, config.headDim, config.ropeTheta, factors, record);
  if (record) memory.free(record);
}

/** Heads to turn: f32 [tokens][heads][headDim] at `x`, the first token at `position`. */
export interface TurnedHeads {
  x: number;
  heads: number;
  headDim: number;
  position: number;
}

/** Rotates, in place, the pairs (j, j + headDim / 2) of every head, for tokens `tokenStart` … `tokenEnd` − 1. */
export function applyRope(
  thread: Thread,
  table: number,
  { x, heads, headDim, position }: TurnedHeads,
  tokenStart: number,
  tokenEnd: number,
): void {
  thread.kernels.rope_rotate(
    x + tokenStart * heads * headDim * 4,
    table + (position + tokenStart) * headDim * 4,
    tokenEnd - tokenStart,
    heads,
    headDim,
  );
}
