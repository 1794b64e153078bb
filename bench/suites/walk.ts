import { calibrate } from "#src/calibration/calibrate.js";
import type { ModelConfig } from "#src/config.js";
import type { Calibration } from "#src/kv/calibration.js";

/** Deterministic numbers, roughly normal: mean 0, variance 1. */
export function normals(length: number, seed: number): Float32Array {
  let state = (seed * 2654435761) | 0 || 1;
  const uniform = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return Float32Array.from({ length }, () => Math.sqrt(3) * (uniform() + uniform() + uniform() + uniform() - 2));
}

/**
 * Keys that change slowly from token to token, f32 [tokens][width]: a random walk drawn back to 0. Steps are long and short,
 * as in texts; if they were alike, there would be no threshold at which a third of the rows are dropped.
 */
export function walk(tokens: number, width: number, seed: number): Float32Array {
  const keys = normals(tokens * width, seed);
  const lengths = normals(tokens, seed + 1);
  for (let i = width; i < keys.length; i++) {
    const step = 0.4 * Math.abs(lengths[Math.floor(i / width)] as number);
    keys[i] = 0.9 * (keys[i - width] as number) + step * (keys[i] as number);
  }
  return keys;
}

const known = new Map<number, Calibration>();

/**
 * Grids, score basis and thresholds for such walks, for every layer and KV head the same: with them `targetSparsity` is
 * the share of the differences that vanishes.
 */
export function walkCalibration(headDim: number, layers: number, kvHeads: number): Calibration {
  let one = known.get(headDim);
  if (!one) {
    const tokens = 1024;
    const moments = Float64Array.from({ length: headDim ** 2 }, (_, i) => (i % (headDim + 1) ? 0 : tokens));
    const table = Float32Array.from({ length: tokens * headDim }, (_, i) => (i % headDim < headDim / 2 ? 1 : 0));
    const config = { layers: 1, heads: 1, kvHeads: 1, headDim } as ModelConfig;
    const recorded = {
      keys: walk(tokens, headDim, 1),
      queryMoments: moments,
      samples: new Float32Array(),
      values: new Float32Array(),
      queries: tokens,
    };
    one = calibrate([[recorded]], config, {
      model: "random walk",
      rope: () => ({ table, turned: headDim }),
    });
    known.set(headDim, one);
  }
  const head = one.heads[0] as Calibration["heads"][number];
  return { ...one, layers, kvHeads, heads: new Array(layers * kvHeads).fill(head) };
}
