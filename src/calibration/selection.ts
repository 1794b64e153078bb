import { decodeBasis, encodeMatrix, encodeTriangle, SAMPLE, type SelectionData, SLOPES } from "../kv/calibration.js";
import { exponential } from "./importance.js";
import type { RecordedHead } from "./recorded-head.js";

/** Keys at the beginning whose mean and covariance are not those of the others: attention sinks. */
const FIRST = 16;
/** Keys at either end that are always taken. */
const KEPT = 64;
/** Of the recorded queries every fourth is measured, once there is something to choose from. */
const STRIDE = 4;
/** Margins that are tried: −12, −11.5 … 12. */
const MARGINS: readonly number[] = Array.from({ length: 49 }, (_, i) => i / 2 - 12);
const DEVIATIONS = 3;
/** Error of an output, as a share of the layer's mean output, that weighs as much as a slope of 1. */
const ERROR_WEIGHT = 4;

/** What a margin keeps and costs in one KV head, by `MARGINS`. */
export interface SelectionCurve {
  /** Share of the keys that are completed. */
  shares: Float64Array;
  /** Mean squared error of the outputs. */
  errors: Float64Array;
  /** Mean square of the outputs. */
  norm: number;
}

/** How many elements of a key lead: a quarter, in whole vectors. */
export function leadingElements(headDim: number): number {
  return Math.max(16, Math.floor(headDim / 64) * 16);
}

/**
 * Mean and covariance of the elements after the leading ones, and what every margin costs.
 * @param keys of each window in the score basis, [tokens][d]
 */
export function measureSelection(
  windows: readonly RecordedHead[],
  basis: Float64Array,
  keys: readonly Float64Array[],
): { data: SelectionData; curve: SelectionCurve } {
  const d = Math.sqrt(basis.length);
  const lead = leadingElements(d);
  const { mean, covariance } = momentsOf(keys, d, lead);
  const { inverse } = decodeBasis(encodeMatrix(basis), d);
  const curve = { shares: new Float64Array(MARGINS.length), errors: new Float64Array(MARGINS.length), norm: 0 };
  let count = 0;
  windows.forEach(({ samples, values }, w) => {
    const mapped = keys[w] as Float64Array;
    const tokens = mapped.length / d;
    const group = Math.floor(samples.length / (Math.floor(tokens / SAMPLE) * d)) || 1;
    for (let row = 0; row < samples.length / d; row++) {
      const sample = Math.floor(row / group);
      const position = (sample + 1) * SAMPLE - 1;
      if (sample % STRIDE !== STRIDE - 1 || position < 4 * KEPT) continue;
      const query = mapVector(inverse, samples.subarray(row * d, (row + 1) * d), d);
      measureQuery(curve, { query, mapped, values, position, lead, mean, covariance });
      count++;
    }
  });
  for (const list of [curve.shares, curve.errors])
    for (let i = 0; i < list.length; i++) list[i] = (list[i] as number) / Math.max(1, count);
  curve.norm /= Math.max(1, count);
  const data = { lead, mean: Array.from(mean, six), covariance: encodeTriangle(covariance), margins: [] };
  return { data, curve };
}

/**
 * The margins of every KV head at each of `SLOPES`: the least of slope · share + weight · error, errors as a share of
 * the mean output of the layer. @returns [slot][slope]
 */
export function chooseMargins(curves: readonly SelectionCurve[], kvHeads: number): number[][] {
  return curves.map(({ shares, errors }, slot) => {
    const layer = Math.floor(slot / kvHeads) * kvHeads;
    const norm = curves.slice(layer, layer + kvHeads).reduce((sum, curve) => sum + curve.norm / kvHeads, 0) || 1;
    return SLOPES.map((slope) => {
      let best = MARGINS.length - 1;
      const cost = (i: number) => slope * (shares[i] as number) + (ERROR_WEIGHT * (errors[i] as number)) / norm;
      for (let i = best - 1; i >= 0; i--) if (cost(i) < cost(best)) best = i;
      return MARGINS[best] as number;
    });
  });
}

interface Query {
  query: Float64Array;
  mapped: Float64Array;
  values: Float32Array;
  position: number;
  lead: number;
  mean: Float64Array;
  covariance: Float64Array;
}

/** Adds what every margin keeps and costs for one query: groups of 4 keys are put in buckets by the margin that keeps them. */
function measureQuery(curve: SelectionCurve, { query, mapped, values, position, lead, mean, covariance }: Query): void {
  const d = query.length;
  const rest = d - lead;
  const scale = 1 / Math.sqrt(d);
  const keys = position + 1;
  const logits = new Float64Array(keys);
  const partial = new Float64Array(keys);
  let constant = 0;
  let variance = 0;
  for (let i = 0; i < rest; i++) {
    constant += (query[lead + i] as number) * (mean[i] as number);
    let sum = 0;
    for (let j = 0; j < rest; j++) sum += (covariance[i * rest + j] as number) * (query[lead + j] as number);
    variance += (query[lead + i] as number) * sum;
  }
  for (let j = 0; j < keys; j++) {
    let sum = 0;
    const at = j * d;
    for (let i = 0; i < lead; i++) sum += (query[i] as number) * (mapped[at + i] as number);
    partial[j] = (sum + constant) * scale;
    for (let i = lead; i < d; i++) sum += (query[i] as number) * (mapped[at + i] as number);
    logits[j] = sum * scale;
  }
  const newest = (position - KEPT + 1) & ~(KEPT - 1);
  const always = (j: number) => j < KEPT || j >= newest;
  let most = -Infinity;
  let known = -Infinity;
  for (let j = 0; j < keys; j++) {
    most = Math.max(most, logits[j] as number);
    if (always(j)) known = Math.max(known, logits[j] as number);
  }
  const needed = known - DEVIATIONS * Math.sqrt(Math.max(0, variance)) * scale;
  const buckets = MARGINS.length + 1;
  const weights = new Float64Array(buckets);
  const counts = new Float64Array(buckets);
  const sums = new Float64Array(buckets * d);
  for (let j = 0; j < keys; j += 4) {
    const end = Math.min(j + 4, keys);
    let best = -Infinity;
    for (let k = j; k < end; k++) best = Math.max(best, partial[k] as number);
    const bucket = always(j) ? 0 : Math.max(0, Math.min(MARGINS.length, Math.ceil((needed - best + 12) * 2)));
    for (let k = j; k < end; k++) {
      const w = exponential((logits[k] as number) - most);
      weights[bucket] = (weights[bucket] as number) + w;
      if (w > 1e-9)
        for (let i = 0; i < d; i++)
          sums[bucket * d + i] = (sums[bucket * d + i] as number) + w * (values[k * d + i] as number);
    }
    counts[bucket] = (counts[bucket] as number) + end - j;
  }
  const total = weights.reduce((a, b) => a + b, 0);
  const output = new Float64Array(d);
  for (let at = 0; at < sums.length; at++) output[at % d] = (output[at % d] as number) + (sums[at] as number) / total;
  curve.norm += output.reduce((sum, x) => sum + x * x, 0);
  const running = new Float64Array(d);
  let weight = 0;
  let kept = 0;
  MARGINS.forEach((_, b) => {
    weight += weights[b] as number;
    kept += counts[b] as number;
    let error = 0;
    for (let i = 0; i < d; i++) {
      running[i] = (running[i] as number) + (sums[b * d + i] as number);
      error += ((running[i] as number) / weight - (output[i] as number)) ** 2;
    }
    curve.shares[b] = (curve.shares[b] as number) + kept / keys;
    curve.errors[b] = (curve.errors[b] as number) + error;
  });
}

function momentsOf(
  keys: readonly Float64Array[],
  d: number,
  lead: number,
): { mean: Float64Array; covariance: Float64Array } {
  const rest = d - lead;
  const mean = new Float64Array(rest);
  const covariance = new Float64Array(rest * rest);
  let count = 0;
  for (const list of keys)
    for (let at = FIRST * d; at < list.length; at += d) {
      count++;
      for (let i = 0; i < rest; i++) mean[i] = (mean[i] as number) + (list[at + lead + i] as number);
    }
  for (let i = 0; i < rest; i++) mean[i] = (mean[i] as number) / Math.max(1, count);
  const x = new Float64Array(rest);
  for (const list of keys)
    for (let at = FIRST * d; at < list.length; at += d) {
      for (let i = 0; i < rest; i++) x[i] = (list[at + lead + i] as number) - (mean[i] as number);
      for (let i = 0; i < rest; i++) {
        const a = (x[i] as number) / count;
        for (let j = i; j < rest; j++)
          covariance[i * rest + j] = (covariance[i * rest + j] as number) + a * (x[j] as number);
      }
    }
  for (let i = 0; i < rest; i++)
    for (let j = 0; j < i; j++) covariance[i * rest + j] = covariance[j * rest + i] as number;
  return { mean, covariance };
}

function mapVector(matrix: Float64Array, x: ArrayLike<number>, d: number): Float64Array {
  return Float64Array.from({ length: d }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < d; j++) sum += (matrix[i * d + j] as number) * (x[j] as number);
    return sum;
  });
}

/** Six digits are enough, and keep the file small. */
const six = (x: number) => Number(x.toPrecision(6));
