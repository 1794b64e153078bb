import { nearest } from "./attention.js";

const f = Math.fround;

/** What a calibration says of one KV head, in units of grid steps, as the kernels have it: f32. */
export interface Selection {
  lead: number;
  margin: number;
  deviations: number;
  /** Mean of the elements after the leading ones. */
  mean: readonly number[];
  /** Their covariance, row-major. */
  covariance: readonly number[];
}

/** A query as the kernels quantise it: 127 · q / max|q|, half to even, and the scale of its logits. */
export function quantisedQuery(query: Float32Array): { codes: number[]; scale: number } {
  let largest = 0;
  for (const value of query) largest = Math.max(largest, Math.abs(value));
  const inverse = largest > 0 ? f(127 / largest) : 0;
  const codes = Array.from(query, (value) => Math.max(-127, Math.min(127, nearest(f(value * inverse)))));
  return { codes, scale: f(f(largest / 127) * f(1 / f(Math.sqrt(query.length)))) };
}

const product = (a: readonly number[], b: readonly number[], from: number, to: number) => {
  let sum = 0;
  for (let i = from; i < to; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
};

/** Four lanes, added as (0 + 2) + (1 + 3). */
const lanes = (x: readonly number[]) =>
  f(f((x[0] as number) + (x[2] as number)) + f((x[1] as number) + (x[3] as number)));

/** Least product of leading elements, Σ q·code with codes around 0, that is wanted; f32 in the kernels' order. */
function threshold(codes: readonly number[], scale: number, peak: number, selection: Selection): number {
  const { lead, margin, deviations, mean, covariance } = selection;
  const q = codes.slice(lead);
  const rest = q.length;
  const meanLanes = [0, 0, 0, 0];
  const squareLanes = [0, 0, 0, 0];
  for (let j = 0; j < rest; j++) {
    let sum = 0;
    for (let i = 0; i < rest; i++) sum = f(sum + f((q[i] as number) * (covariance[i * rest + j] as number)));
    squareLanes[j % 4] = f((squareLanes[j % 4] as number) + f((q[j] as number) * sum));
    meanLanes[j % 4] = f((meanLanes[j % 4] as number) + f((q[j] as number) * (mean[j] as number)));
  }
  const deviation = f(Math.sqrt(Math.max(0, lanes(squareLanes))));
  const logits = f(f(peak - f(margin)) / scale);
  const added = 64 * codes.slice(0, lead).reduce((a, b) => a + b, 0);
  const least = f(f(f(logits - f(deviations * deviation)) - lanes(meanLanes)) + added);
  return Math.max(-(2 ** 24), Math.min(2 ** 24, Math.ceil(least))) - added;
}

/**
 * Which groups of 4 keys the queries of a token that decide together take, and from how many they chose.
 * @param keys codes around 0 of the keys the token sees, far ones as they are kept
 * @param window first key of its window, or the number of keys where there is none
 */
export function wantedGroups(
  queries: readonly { codes: number[]; scale: number }[],
  keys: readonly (readonly number[])[],
  window: number,
  selection: Selection,
): boolean[] {
  const position = keys.length - 1;
  const newest = Math.max(0, position - 63) & ~63;
  const d = (keys[0] as readonly number[]).length;
  const leasts = queries.map(({ codes, scale }) => {
    if (!(scale > 0)) return -Infinity;
    let most = -Infinity;
    keys.forEach((key, j) => {
      if (j < 64 || j >= newest) most = Math.max(most, product(codes, key, 0, d));
    });
    return threshold(codes, scale, f(most * scale), selection);
  });
  return Array.from({ length: Math.ceil(keys.length / 4) }, (_, g) => {
    const page = Math.floor(g / 16) * 64;
    if (page === 0 || page + 127 > position || page + 64 > window) return true;
    return queries.some(({ codes }, r) =>
      keys.slice(4 * g, 4 * g + 4).some((key) => product(codes, key, 0, selection.lead) >= (leasts[r] as number)),
    );
  });
}
