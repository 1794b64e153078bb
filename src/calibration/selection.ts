import { decodeBasis, encodeMatrix, encodeTriangle, SAMPLE, type SelectionData, SLOPES } from "../kv/calibration.js";
import { six } from "./grid.js";
import { addOuterProducts, fourRows, mapKeys, mirror } from "./products.js";
import type { RecordedHead } from "./recorded-head.js";
import type { Workspace } from "./workspace.js";

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
/** One for each margin, and one for what none keeps. */
const BUCKETS = MARGINS.length + 1;
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
  space: Workspace,
  windows: readonly RecordedHead[],
  basis: Float64Array,
  keys: readonly Float64Array[],
): { data: SelectionData; curve: SelectionCurve } {
  const d = Math.sqrt(basis.length);
  const lead = leadingElements(d);
  const { mean, covariance } = space.within(() => momentsOf(space, keys, d, lead));
  const { inverse } = decodeBasis(encodeMatrix(basis), d);
  const curve = { shares: new Float64Array(MARGINS.length), errors: new Float64Array(MARGINS.length), norm: 0 };
  const recorded = windows.reduce((sum, { keys }) => sum + Math.floor(keys.length / d / SAMPLE), 0);
  const stride = Math.max(1, Math.floor(recorded / MEASURED));
  let count = 0;
  windows.forEach((window, w) => {
    const { samples } = window;
    const mapped = keys[w] as Float64Array;
    const tokens = mapped.length / d;
    const group = Math.floor(samples.length / (Math.floor(tokens / SAMPLE) * d)) || 1;
    const size = Math.ceil(group / Math.ceil(group / DECIDE));
    space.within(() => {
      const room = roomFor(space, tokens, d);
      const values = space.singles(window.values);
      for (let sample = stride - 1; sample < samples.length / d / group; sample += stride) {
        const position = (sample + 1) * SAMPLE - 1;
        if (position < 4 * KEPT) continue;
        space.within(() => {
          const own = space.copy(samples.subarray(sample * group * d, (sample + 1) * group * d));
          const rows = mapKeys(space, inverse, own, d);
          for (let head = 0; head < group; head += size) {
            const queries = rows.subarray(head * d, Math.min(head + size, group) * d);
            measureQueries(space, curve, { queries, mapped, values, position, lead, mean, covariance, room });
            count += queries.length / d;
          }
        });
      }
    });
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
  room: Room;
}

/** Work for one group of queries after another, in the workspace. */
interface Room {
  /** Products with the leading elements, and with all, of four queries: [keys][4]. */
  partial: Float64Array;
  logits: Float64Array;
  /** Sums of the weights of four queries. */
  totals: Float64Array;
  /** The least margin that keeps a group of 4 keys. */
  bucketOf: Int8Array;
  /** By bucket: the sum of weights, nothing, the sum of weighted values. */
  outputs: Float64Array;
}

function roomFor(space: Workspace, tokens: number, d: number): Room {
  return {
    partial: space.numbers(DECIDE * tokens),
    logits: space.numbers(DECIDE * tokens),
    totals: space.numbers(DECIDE),
    bucketOf: space.bytes(Math.ceil(tokens / 4)),
    outputs: space.numbers(BUCKETS * (d + 2)),
  };
}

/** Adds what every margin keeps and costs: groups of 4 keys are put in buckets by the least margin that keeps them. */
function measureQueries(
  space: Workspace,
  curve: SelectionCurve,
  { queries, mapped, values, position, lead, mean, covariance, room }: Queries,
): void {
  const d = lead + mean.length;
  const heads = queries.length / d;
  // A multiple of 4, as positions are one less than multiples of `SAMPLE`.
  const keys = position + 1;
  const newest = (position - KEPT + 1) & ~(KEPT - 1);
  const scale = 1 / Math.sqrt(d);
  const [partial, logits] = [room.partial.subarray(0, DECIDE * keys), room.logits.subarray(0, DECIDE * keys)];
  const bucketOf = room.bucketOf.subarray(0, keys / 4).fill(BUCKETS - 1);
  space.within(() => {
    const rows = fourRows(space, queries, 0, d).byteOffset;
    const dots = space.kernels.calibration_dots;
    dots(partial.byteOffset, 32, rows, mapped.byteOffset, keys, 0, lead, d);
    logits.set(partial);
    dots(logits.byteOffset, 32, rows, mapped.byteOffset, keys, lead, d, d);
  });
  for (let head = 0; head < heads; head++) {
    const known = Math.max(largest(logits, head, 0, KEPT), largest(logits, head, newest, keys)) * scale;
    const { constant, deviation } = restOf(queries.subarray(head * d, (head + 1) * d), { lead, mean, covariance });
    const needed = known - DEVIATIONS * deviation;
    for (let g = 0; g < bucketOf.length; g++) {
      const always = 4 * g < KEPT || 4 * g >= newest;
      const best = (largest(partial, head, 4 * g, 4 * g + 4) + constant) * scale;
      const bucket = always ? 0 : Math.max(0, Math.ceil((needed - best + 12) * 2));
      if (bucket < (bucketOf[g] as number)) bucketOf[g] = bucket;
    }
  }
  const kept = new Float64Array(BUCKETS);
  for (const bucket of bucketOf) kept[bucket] = (kept[bucket] as number) + 4;
  space.kernels.calibration_weights(logits.byteOffset, keys, scale, room.totals.byteOffset);
  const outputs = room.outputs;
  for (let head = 0; head < heads; head++) {
    const weights = logits.byteOffset + 8 * head;
    const [out, buckets, rows] = [outputs.fill(0).byteOffset, bucketOf.byteOffset, values.byteOffset];
    space.kernels.calibration_outputs(out, weights, buckets, rows, keys / 4, d);
    addErrors(curve, outputs, d);
  }
  let sum = 0;
  for (let b = 0; b < MARGINS.length; b++) {
    sum += kept[b] as number;
    curve.shares[b] = (curve.shares[b] as number) + (heads * sum) / keys;
  }
}

/** Of the keys `from` … `end` − 1 in `list` [keys][4]. */
function largest(list: Float64Array, head: number, from: number, end: number): number {
  let most = -Infinity;
  for (let at = 4 * from + head; at < 4 * end; at += 4) if ((list[at] as number) > most) most = list[at] as number;
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

/** The errors of one query's output, given by bucket, when the buckets up to each margin are kept. */
function addErrors(curve: SelectionCurve, outputs: Float64Array, d: number): void {
  const weightOf = (bucket: number) => outputs[bucket * (d + 2)] as number;
  let total = 0;
  for (let b = 0; b < BUCKETS; b++) total += weightOf(b);
  const output = new Float64Array(d);
  for (let b = 0; b < BUCKETS; b++) {
    // An empty bucket changes nothing, here and below.
    if (weightOf(b) === 0) continue;
    for (let i = 0, at = b * (d + 2) + 2; i < d; i++)
      output[i] = (output[i] as number) + (outputs[at + i] as number) / total;
  }
  curve.norm += output.reduce((sum, x) => sum + x * x, 0);
  const running = new Float64Array(d);
  let [weight, error] = [0, 0];
  for (let b = 0; b < MARGINS.length; b++) {
    if (b === 0 || weightOf(b) !== 0) {
      weight += weightOf(b);
      error = 0;
      for (let i = 0, at = b * (d + 2) + 2; i < d; i++) {
        running[i] = (running[i] as number) + (outputs[at + i] as number);
        const e = (running[i] as number) / weight - (output[i] as number);
        error += e * e;
      }
    }
    curve.errors[b] = (curve.errors[b] as number) + error;
  }
}

function momentsOf(
  space: Workspace,
  keys: readonly Float64Array[],
  d: number,
  lead: number,
): { mean: Float64Array; covariance: Float64Array } {
  const rest = d - lead;
  const mean = new Float64Array(rest);
  const covariance = space.numbers(rest * rest).fill(0);
  let count = 0;
  for (const list of keys)
    for (let at = FIRST * d; at < list.length; at += d) {
      count++;
      for (let i = 0; i < rest; i++) mean[i] = (mean[i] as number) + (list[at + lead + i] as number);
    }
  for (let i = 0; i < rest; i++) mean[i] = (mean[i] as number) / Math.max(1, count);
  for (const list of keys)
    space.within(() => {
      const size = Math.max(0, list.length / d - FIRST) * rest;
      const [centred, scaled] = [space.numbers(size), space.numbers(size)];
      for (let at = FIRST * d, to = 0; at < list.length; at += d)
        for (let i = 0; i < rest; i++, to++) {
          const x = (list[at + lead + i] as number) - (mean[i] as number);
          centred[to] = x;
          scaled[to] = x / count;
        }
      addOuterProducts(space, covariance, centred, scaled, rest);
    });
  mirror(covariance, rest);
  return { mean, covariance: covariance.slice() };
}
