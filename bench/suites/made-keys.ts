import type { KernelFamily } from "#src/kernels/choose.js";
import { type Calibration, encodeMatrix, encodeTriangle, SLOPES } from "#src/kv/calibration.js";
import { CacheRig, GROUP, PREFILL } from "./cache-rig.js";
import { normals } from "./walk.js";

/** Keys before they repeat themselves. */
const PERIOD = 4096;
/** Standard deviation of the numbers of queries: logits spread as far as those of a trained model. */
const QUERY = 3.1;

/** Standard deviation of each element of a key: the leading ones carry most, as in a score basis. */
const spreadOf = (headDim: number) =>
  Float64Array.from({ length: headDim }, (_, i) => 2.2 * Math.exp(-i / (headDim * 0.14)) + 0.12);

/** Keys, each like the one before. */
function keysOf(headDim: number): Float32Array {
  const spread = spreadOf(headDim);
  const keys = normals(PERIOD * headDim, 5);
  for (let i = headDim; i < keys.length; i++)
    keys[i] = 0.85 * (keys[i - headDim] as number) + 0.53 * (keys[i] as number);
  return keys.map((x, i) => x * (spread[i % headDim] as number));
}

/** Queries of `PREFILL` tokens; the heads of a token want much the same. */
function queriesOf(headDim: number): Float32Array {
  const common = normals(PREFILL * headDim, 77);
  return normals(PREFILL * GROUP * headDim, 78).map((own, i) => {
    const token = Math.floor(i / headDim / GROUP);
    return QUERY * (0.8 * (common[token * headDim + (i % headDim)] as number) + 0.6 * own);
  });
}

function calibrationOf(headDim: number, copies: number, margin: number): Calibration {
  const spread = spreadOf(headDim);
  const lead = Math.max(16, Math.floor(headDim / 64) * 16);
  const rest = headDim - lead;
  const steps = Array.from(spread, (s) => (3.5 * s) / 63);
  const square = (n: number, diagonal: (i: number) => number) =>
    Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) ? 0 : diagonal(i / (n + 1))));
  const head = {
    rawSteps: steps,
    scoreSteps: steps,
    basis: encodeMatrix(square(headDim, () => 1)),
    thresholds: {},
    select: {
      lead,
      mean: new Array<number>(rest).fill(0),
      covariance: encodeTriangle(square(rest, (i) => (spread[lead + i] as number) ** 2)),
      margins: SLOPES.map(() => margin),
    },
  };
  const heads = new Array(copies).fill(head);
  return { format: "deltallm-calibration", version: 1, model: "made", layers: copies, kvHeads: 1, headDim, heads };
}

interface Made {
  family: KernelFamily;
  headDim: number;
  keys: number;
}

/** One layer of attention over made keys; full attention without a margin. */
export function madeRig({
  family,
  headDim,
  keys,
  copies,
  margin,
}: Made & { copies: number; margin: number | undefined }) {
  const setting = { name: "", grain: "full", sparsity: 0, options: {} } as const;
  const more =
    margin === undefined
      ? {}
      : { select: 0.01, valueCutoff: 0.0005, calibration: calibrationOf(headDim, copies, margin) };
  return new CacheRig(family, headDim, keys, copies, setting, more, {
    keys: keysOf(headDim),
    queries: queriesOf(headDim),
  });
}

/** The margin with which a share of the groups is completed: bisected. */
export function marginFor({ tokens, share, ...made }: Made & { tokens: number; share: number }): number {
  if (share >= 1) return 1e30;
  let [low, high] = [-40, 60];
  for (let i = 0; i < 12; i++) {
    const margin = (low + high) / 2;
    const rig = madeRig({ ...made, copies: 1, margin });
    rig.attend(tokens, 0);
    if ((rig.cache.stats().selected?.completedShare ?? 1) > share) high = margin;
    else low = margin;
  }
  return high;
}
