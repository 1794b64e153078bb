import { fillRopeTable } from "../attention/rope.js";
import { type ModelConfig, ropeDimOf } from "../config.js";
import type { Kernels } from "../kernels/generated.js";
import type { Memory } from "../memory/memory.js";

/** Addresses of the tables of cosines and sines, f32 `[contextLength][2][ropeDim / 2]` each. */
export interface RopeTables {
  table: number;
  /** Of layers with a sliding window. */
  windowTable: number;
}

/** One cosine and sine per pair for a position, as `fillRopeTable` lays them out: f32 [positions][2][turned / 2]. */
export interface RopeRows {
  table: Float32Array;
  /** Elements of a head that are turned, the first ones. */
  turned: number;
}

/**
 * Computes the tables inside WebAssembly.
 * @param contextLength of the sessions; decides which factors LongRoPE takes
 * @param factors address of frequency divisors found in the file, or 0
 */
export function makeRopeTables(
  kernels: Kernels,
  memory: Memory,
  config: ModelConfig,
  contextLength: number,
  factors: number,
): RopeTables {
  const dim = ropeDimOf(config);
  const make = (theta: number, divisors: number, scaling: ModelConfig["ropeScaling"]) => {
    const table = memory.alloc(contextLength * dim * 4, "the RoPE table");
    const shape = { ...config, headDim: dim, ropeTheta: theta, ropeScaling: scaling };
    fillRopeTable(kernels, memory, table, shape, contextLength, divisors);
    return table;
  };
  const divisors = divisorsOf(config, contextLength);
  const own = divisors ? memory.alloc(divisors.length * 4, "the RoPE factors") : 0;
  if (divisors) memory.f32(own, divisors.length).set(divisors);
  const table = make(config.ropeTheta, own || factors, config.ropeScaling);
  if (own) memory.free(own);
  const magnitude = config.longRope?.magnitude ?? 1;
  if (magnitude !== 1) kernels.scale_f32(table, contextLength * dim, magnitude);
  const local = config.window?.ropeTheta;
  return { table, windowTable: local === undefined ? table : make(local, 0, undefined) };
}

/** What the frequency of each pair is divided by; undefined when by nothing. */
function divisorsOf({ longRope, ropeDivisor, ...config }: ModelConfig, context: number): ArrayLike<number> | undefined {
  if (longRope) return context > longRope.originalContextLength ? longRope.longFactors : longRope.shortFactors;
  if (ropeDivisor === undefined || ropeDivisor === 1) return undefined;
  return new Float32Array(ropeDimOf(config) / 2).fill(ropeDivisor);
}
