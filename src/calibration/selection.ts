import { decodeBasis, encodeMatrix, encodeTriangle, SAMPLE, type SelectionData, SLOPES } from "../kv/calibration.js";
import { exponential } from "./importance.js";
import { addDots, addOuterProducts, mapKeys, mirror } from "./products.js";
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
    const room = [new Float64Array(DECIDE * tokens), new Float64Array(DECIDE * tokens)] as const;
    const group = Math.floor(samples.length / (Math.floor(tokens / SAMPLE) * d)) || 1;
    const size = Math.ceil(group / Math.ceil(group / DECIDE));
    for (let sample = stride - 1; sample < samples.length / d / group; sample += stride) {
      const position = (sample + 1) * SAMPLE - 1;
      if (position < 4 * KEPT) continue;
      const rows = mapKeys(
        inverse,
        Float64Array.from(samples.subarray(sample * group * d, (sample + 1) * group * d)),
        d,
      );
      for (let head = 0; head < group; head += size) {
        const queries = rows.subarray(head * d, Math.min(head + size, group) * d);
        measureQueries(curve, { queries, mapped, values, position, lead, mean, covariance, room });
        count += queries.length / d;
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
  /** [heads][d], at most four: of heads that decide together, at one position. */
  queries: Float64Array;
  mapped: Float64Array;
  values: Float32Array;
  position: number;
  lead: number;
  mean: Float64Array;
  covariance: Float64Array;
  /** For the products of four queries with all keys. */
  room: readonly [Float64Array, Float64Array];
}

/** Adds what every margin keeps and costs: groups of 4 keys are put in buckets by the least margin that keeps them. */
function measureQueries(
  curve: SelectionCurve,
  { queries, mapped, values, position, lead, mean, covariance, room }: Queries,
): void {
  const d = lead + mean.length;
  const heads = queries.length / d;
  // A multiple of 4, as positions are one less than multiples of `SAMPLE`.
  const keys = position + 1;
  const newest = (position - KEPT + 1) & ~(KEPT - 1);
  const scale = 1 / Math.sqrt(d);
  const bucketOf = new Uint8Array(keys / 4).fill(MARGINS.length);
  const [partial, logits] = [room[0].subarray(0, DECIDE * keys).fill(0), room[1].subarray(0, DECIDE * keys)];
  addDots(partial, queries, 0, mapped, keys, { d, from: 0, to: lead });
  logits.set(partial);
  addDots(logits, queries, 0, mapped, keys, { d, from: lead, to: d });
  const most = new Float64Array(heads);
  for (let head = 0; head < heads; head++) {
    const own = logits.subarray(head * keys, (head + 1) * keys);
    for (let j = 0; j < keys; j++) own[j] = (own[j] as number) * scale;
    const known = Math.max(largest(own, 0, KEPT), largest(own, newest, keys));
    most[head] = Math.max(known, largest(own, KEPT, newest));
    const { constant, deviation } = restOf(queries.subarray(head * d, (head + 1) * d), { lead, mean, covariance });
    const needed = known - DEVIATIONS * deviation;
    for (let g = 0, at = head * keys; g < bucketOf.length; g++, at += 4) {
      const always = 4 * g < KEPT || 4 * g >= newest;
      const best = (largest(partial, at, at + 4) + constant) * scale;
      const bucket = always ? 0 : Math.max(0, Math.ceil((needed - best + 12) * 2));
      if (bucket < (bucketOf[g] as number)) bucketOf[g] = bucket;
    }
  }
  const kept = new Float64Array(MARGINS.length + 1);
  for (const bucket of bucketOf) kept[bucket] = (kept[bucket] as number) + 4;
  for (let head = 0; head < heads; head++) {
    const own = logits.subarray(head * keys, (head + 1) * keys);
    addErrors(curve, { logits: own, most: most[head] as number, bucketOf, values, d });
  }
  let sum = 0;
  for (let b = 0; b < MARGINS.length; b++) {
    sum += kept[b] as number;
    curve.shares[b] = (curve.shares[b] as number) + (heads * sum) / keys;
  }
}

function largest(list: Float64Array, from: number, end: number): number {
  let most = -Infinity;
  for (let i = from; i < end; i++) if ((list[i] as number) > most) most = list[i] as number;
  return most;
}

/** What the mean of the elements after the leading ones adds to a query's products, and the deviation of logits from that. */
function restOf(
  query: Float64Array,
  { lead, mean, covariance }: Pick<Queries, "lead" | "mean" | "covariance">,
): { constant: number; deviation: number } {
  const rest = mean.length;
  let [constant, variance] = [0, 0];
  for (let i = 0; i < rest; i++) {
    constant += (query[lead + i] as number) * (mean[i] as number);
    let sum = 0;
    for (let j = 0; j < rest; j++) sum += (covariance[i * rest + j] as number) * (query[lead + j] as number);
    variance += (query[lead + i] as number) * sum;
  }
  return { constant, deviation: Math.sqrt(Math.max(0, variance)) / Math.sqrt(lead + rest) };
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
  const four = new Float64Array(4);
  for (let g = 0; g < bucketOf.length; g++) {
    const bucket = bucketOf[g] as number;
    let any = false;
    for (let k = 0; k < 4; k++) {
      const w = exponential((logits[4 * g + k] as number) - most);
      weights[bucket] = (weights[bucket] as number) + w;
      // Adding 0 changes no sum.
      four[k] = w > 1e-9 ? w : 0;
      any ||= w > 1e-9;
    }
    if (any) addValues(sums, bucket * d, values, 4 * g * d, four, d);
  }
  const total = weights.reduce((a, b) => a + b, 0);
  const output = new Float64Array(d);
  for (let at = 0; at < sums.length; at += d)
    for (let i = 0; i < d; i++) output[i] = (output[i] as number) + (sums[at + i] as number) / total;
  curve.norm += output.reduce((sum, x) => sum + x * x, 0);
  const running = new Float64Array(d);
  let [weight, error] = [0, 0];
  for (let b = 0; b < MARGINS.length; b++) {
    // An empty bucket changes nothing.
    if (b === 0 || weights[b] !== 0) {
      weight += weights[b] as number;
      error = 0;
      for (let i = 0; i < d; i++) {
        running[i] = (running[i] as number) + (sums[b * d + i] as number);
        const e = (running[i] as number) / weight - (output[i] as number);
        error += e * e;
      }
    }
    curve.errors[b] = (curve.errors[b] as number) + error;
  }
}

/** sums[to + i] += Σ weights · values of four rows from `from` on, one after the other. */
function addValues(
  sums: Float64Array,
  to: number,
  values: Float32Array,
  from: number,
  weights: Float64Array,
  d: number,
): void {
  const [a, b, c, e] = weights as unknown as [number, number, number, number];
  for (let i = 0, at = from; i < d; i++, at++)
    sums[to + i] =
      (sums[to + i] as number) +
      a * (values[at] as number) +
      b * (values[at + d] as number) +
      c * (values[at + 2 * d] as number) +
      e * (values[at + 3 * d] as number);
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
