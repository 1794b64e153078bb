import { decodeBasis, encodeMatrix, encodeTriangle, SAMPLE, type SelectionData, SLOPES } from "../kv/calibration.js";
import { exponential } from "./importance.js";
import { addOuterProducts, mapKeys, mirror } from "./products.js";
import type { RecordedHead } from "./recorded-head.js";

/** Keys at the beginning whose mean and covariance are not those of the others: attention sinks. */
const FIRST = 16;
/** Keys at either end that are always taken. */
const KEPT = 64;
/** Tokens of a KV head whose queries are measured, at least; they are spread over all recorded positions. */
const MEASURED = 64;
/** Query heads that decide together which keys they complete: as in assembly/attention/select.ts. */
const DECIDE = 4;
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
  const recorded = windows.reduce((sum, { keys }) => sum + Math.floor(keys.length / d / SAMPLE), 0);
  const stride = Math.max(1, Math.floor(recorded / MEASURED));
  let count = 0;
  windows.forEach(({ samples, values }, w) => {
    const mapped = keys[w] as Float64Array;
    const tokens = mapped.length / d;
    const group = Math.floor(samples.length / (Math.floor(tokens / SAMPLE) * d)) || 1;
    const size = Math.ceil(group / Math.ceil(group / DECIDE));
    for (let sample = stride - 1; sample < samples.length / d / group; sample += stride) {
      const position = (sample + 1) * SAMPLE - 1;
      if (position < 4 * KEPT) continue;
      for (let head = 0; head < group; head += size) {
        const queries: Float64Array[] = [];
        for (let row = sample * group + head; row < sample * group + Math.min(head + size, group); row++)
          queries.push(mapKeys(inverse, Float64Array.from(samples.subarray(row * d, (row + 1) * d)), d));
        measureQueries(curve, { queries, mapped, values, position, lead, mean, covariance });
        count += queries.length;
      }
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

interface Queries {
  /** Of heads that decide together, at one position. */
  queries: readonly Float64Array[];
  mapped: Float64Array;
  values: Float32Array;
  position: number;
  lead: number;
  mean: Float64Array;
  covariance: Float64Array;
}

/** Adds what every margin keeps and costs: groups of 4 keys are put in buckets by the least margin that keeps them. */
function measureQueries(
  curve: SelectionCurve,
  { queries, mapped, values, position, lead, mean, covariance }: Queries,
): void {
  const d = (queries[0] as Float64Array).length;
  const keys = position + 1;
  const newest = (position - KEPT + 1) & ~(KEPT - 1);
  const always = (j: number) => j < KEPT || j >= newest;
  const bucketOf = new Uint8Array(Math.ceil(keys / 4)).fill(MARGINS.length);
  const all = queries.map((query) => {
    const { logits, partial, deviation } = scoresOf(query, { mapped, keys, lead, mean, covariance });
    let most = -Infinity;
    let known = -Infinity;
    for (let j = 0; j < keys; j++) {
      most = Math.max(most, logits[j] as number);
      if (always(j)) known = Math.max(known, logits[j] as number);
    }
    const needed = known - DEVIATIONS * deviation;
    for (let g = 0; g < bucketOf.length; g++) {
      let best = -Infinity;
      for (let k = 4 * g; k < Math.min(4 * g + 4, keys); k++) best = Math.max(best, partial[k] as number);
      const bucket = always(4 * g) ? 0 : Math.max(0, Math.ceil((needed - best + 12) * 2));
      bucketOf[g] = Math.min(bucketOf[g] as number, bucket);
    }
    return { logits, most };
  });
  const kept = new Float64Array(MARGINS.length + 1);
  for (let j = 0; j < keys; j++) kept[bucketOf[j >> 2] as number] = (kept[bucketOf[j >> 2] as number] as number) + 1;
  for (const { logits, most } of all) addErrors(curve, { logits, most, bucketOf, values, d });
  let sum = 0;
  MARGINS.forEach((_, b) => {
    sum += kept[b] as number;
    curve.shares[b] = (curve.shares[b] as number) + (queries.length * sum) / keys;
  });
}

/** Logits of all keys, what their leading elements and the mean of the others make of them, and the deviation from that. */
function scoresOf(
  query: Float64Array,
  { mapped, keys, lead, mean, covariance }: Omit<Queries, "queries" | "values" | "position"> & { keys: number },
): { logits: Float64Array; partial: Float64Array; deviation: number } {
  const d = query.length;
  const rest = d - lead;
  const scale = 1 / Math.sqrt(d);
  const logits = new Float64Array(keys);
  const partial = new Float64Array(keys);
  let [constant, variance] = [0, 0];
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
  return { logits, partial, deviation: Math.sqrt(Math.max(0, variance)) * scale };
}

/** The errors of one query's output when the groups of the buckets up to each margin are kept. */
function addErrors(
  curve: SelectionCurve,
  query: { logits: Float64Array; most: number; bucketOf: Uint8Array; values: Float32Array; d: number },
): void {
  const { logits, most, bucketOf, values, d } = query;
  const buckets = MARGINS.length + 1;
  const weights = new Float64Array(buckets);
  const sums = new Float64Array(buckets * d);
  for (let k = 0; k < logits.length; k++) {
    const bucket = bucketOf[k >> 2] as number;
    const w = exponential((logits[k] as number) - most);
    weights[bucket] = (weights[bucket] as number) + w;
    if (w > 1e-9)
      for (let i = 0; i < d; i++)
        sums[bucket * d + i] = (sums[bucket * d + i] as number) + w * (values[k * d + i] as number);
  }
  const total = weights.reduce((a, b) => a + b, 0);
  const output = new Float64Array(d);
  for (let at = 0; at < sums.length; at++) output[at % d] = (output[at % d] as number) + (sums[at] as number) / total;
  curve.norm += output.reduce((sum, x) => sum + x * x, 0);
  const running = new Float64Array(d);
  let weight = 0;
  MARGINS.forEach((_, b) => {
    weight += weights[b] as number;
    let error = 0;
    for (let i = 0; i < d; i++) {
      running[i] = (running[i] as number) + (sums[b * d + i] as number);
      error += ((running[i] as number) / weight - (output[i] as number)) ** 2;
    }
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
  for (const list of keys) {
    const centred = new Float64Array(Math.max(0, list.length / d - FIRST) * rest);
    for (let at = FIRST * d, to = 0; at < list.length; at += d)
      for (let i = 0; i < rest; i++) centred[to++] = (list[at + lead + i] as number) - (mean[i] as number);
    addOuterProducts(
      covariance,
      centred,
      centred.map((x) => x / count),
      rest,
    );
  }
  mirror(covariance, rest);
  return { mean, covariance };
}

/** Six digits are enough, and keep the file small. */
const six = (x: number) => Number(x.toPrecision(6));
