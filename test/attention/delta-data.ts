import fc from "fast-check";
import type { AttentionOptions } from "#src/attention/options.js";
import { type CalibratedHead, type Calibration, decodeBasis, encodeMatrix } from "#src/kv/calibration.js";
import type { Shape } from "../twins/attention.js";
import { gridCodes, headRows, references } from "../twins/delta.js";
import { random, randomArray } from "./harness.js";

export const shapes = fc
  .record({
    kvHeads: fc.integer({ min: 1, max: 2 }),
    group: fc.integer({ min: 1, max: 8 }),
    headDim: fc.constantFrom(32, 48, 64, 128),
  })
  .map(({ kvHeads, group, headDim }): Shape => ({ kvHeads, heads: kvHeads * group, headDim }));

/** Queries, keys and values of which the keys change slowly from token to token, so that deltas are sparse. */
export function walk(shape: Shape, tokens: number, seed: number): [Float32Array, Float32Array, Float32Array] {
  const size = shape.kvHeads * shape.headDim;
  const keys = randomArray(tokens * size, seed);
  for (let i = size; i < keys.length; i++) keys[i] = 0.9 * (keys[i - size] as number) + 0.45 * (keys[i] as number);
  return [randomArray(tokens * shape.heads * shape.headDim, seed + 1), keys, randomArray(tokens * size, seed + 2)];
}

/** A made-up calibration: uneven steps, and a score basis that is a product of plane rotations and scales. */
export function fakeCalibration(shape: Shape, seed: number, layers = 1): Calibration {
  const { headDim: d, kvHeads } = shape;
  const next = random(seed + 77);
  const heads = Array.from({ length: layers * kvHeads }, () => {
    const scale = Array.from({ length: d }, () => 0.6 + 0.3 * Math.abs(next()));
    const basis = Array.from({ length: d * d }, (_, i) => (i % (d + 1) === 0 ? (scale[i / (d + 1)] as number) : 0));
    for (let turn = 0; turn < 2 * d; turn++) {
      const [a, b] = [turn % d, (turn * 7 + 1) % d];
      if (a === b) continue;
      const angle = next();
      const [c, s] = [Math.cos(angle), Math.sin(angle)];
      for (let j = 0; j < d; j++) {
        const [x, y] = [basis[a * d + j] as number, basis[b * d + j] as number];
        basis[a * d + j] = c * x - s * y;
        basis[b * d + j] = s * x + c * y;
      }
    }
    const steps = () => Array.from({ length: d }, () => (3 + 0.8 * Math.abs(next())) / 63);
    return {
      rawSteps: steps(),
      rawCenters: Array.from({ length: d }, () => 0.3 * next()),
      scoreSteps: steps(),
      scoreCenters: Array.from({ length: d }, () => 0.3 * next()),
      basis: encodeMatrix(Float64Array.from(basis)),
      thresholds: {},
    };
  });
  return { format: "deltallm-calibration", version: 1, model: "test", layers, kvHeads, headDim: d, heads };
}

/** The grid codes of every key of a KV head, and the reference walk over them. */
export function expected(shape: Shape, options: AttentionOptions, keys: Float32Array, kvHead: number) {
  const d = shape.headDim;
  const head = options.calibration?.heads[kvHead] as CalibratedHead;
  const matrix = options.basis === "score";
  const basis = matrix ? decodeBasis(head.basis ?? "", d) : undefined;
  const steps = (matrix ? head.scoreSteps : head.rawSteps) as number[];
  const map = matrix
    ? Float32Array.from({ length: (d + 1) * d }, (_, at) => {
        const [row, i] = [Math.floor(at / d) - 1, at % d];
        const x = row < 0 ? -(head.scoreCenters?.[i] as number) : (basis?.basis[i * d + row] as number);
        return x / (steps[i] as number);
      })
    : Float32Array.from([
        ...steps.map((step) => 1 / step),
        ...steps.map((step, i) => -(head.rawCenters?.[i] ?? 0) / step),
      ]);
  const codes = headRows(keys, shape, kvHead).map((key) => gridCodes(key, map, matrix));
  const walked = references(codes, steps, options.threshold ?? 0, options.grain ?? "element", options.sink ?? 4);
  return { basis, matrix, steps, codes, ...walked };
}
