import type { ModelConfig } from "../config.js";
import { type CalibratedHead, type Calibration, encodeMatrix } from "../kv/calibration.js";
import { eigenSymmetric, multiply } from "../kv/symmetric.js";
import { farImportance } from "./importance.js";
import { addOuterProducts, mapKeys, mirror } from "./products.js";
import type { RecordedHead } from "./recorded-head.js";
import { chooseMargins, leadingElements, measureSelection, type SelectionCurve } from "./selection.js";
import { balancedThresholds, equalThresholds, type SparsityCurve, sparsityCurve } from "./thresholds.js";

export interface CalibrateOptions {
  /** Identifies the weights. */
  model: string;
  /** How a layer turns its keys. */
  rope(layer: number): RopeRows;
  /** Also make the score basis (default) with its thresholds. */
  score?: boolean | undefined;
  onProgress?: ((fraction: number) => void) | undefined;
}

/** One cosine and sine per pair for a position, as `fillRopeTable` lays them out: f32 [positions][2][turned / 2]. */
export interface RopeRows {
  table: Float32Array;
  /** Elements of a head that are turned, the first ones. */
  turned: number;
}

/** Largest code of the grid. */
const LARGEST = 63;
/** Positions, spread over the context, to which the recorded keys are turned: the grid must fit all of them. */
const TURNS = 8;
const FIRST = 4;
/** Share of the turned keys that may fall off either end of the grid. */
const RARE = 0.002;

/**
 * Measures grids, thresholds and the score basis. `recordings` are passes over texts, each with all heads in the order
 * layer · kvHeads + KV head. Only + − × ÷ √: the same on every machine.
 */
export function calibrate(
  recordings: readonly (readonly RecordedHead[])[],
  config: ModelConfig,
  options: CalibrateOptions,
): Calibration {
  const { layers, kvHeads, headDim } = config;
  const heads: CalibratedHead[] = [];
  const curves: ScoreCurves = { element: [], chunk: [], selection: [] };
  const importance: number[] = [];
  let rope: RopeRows | undefined;
  for (let index = 0; index < layers * kvHeads; index++) {
    const windows = recordings.map((heads) => heads[index] as RecordedHead);
    if (!rope || index % kvHeads === 0) rope = options.rope(index / kvHeads);
    heads.push(calibrateHead(windows, headDim, rope, options, curves));
    if (options.score !== false) importance.push(farImportance(windows, headDim));
    options.onProgress?.((index + 1) / (layers * kvHeads));
  }
  for (const grain of ["element", "chunk"] as const)
    balancedThresholds(curves[grain], importance).forEach((list, index) => {
      (heads[index] as CalibratedHead).thresholds[`${grain}/score`] = list.map(six);
    });
  chooseMargins(curves.selection, kvHeads).forEach((margins, index) => {
    const head = heads[index] as CalibratedHead;
    if (head.select) head.select.margins = margins;
  });
  return { format: "deltallm-calibration", version: 1, model: options.model, layers, kvHeads, headDim, heads };
}

/** Sparsity by threshold of every layer and KV head, score basis. */
interface ScoreCurves extends Record<"element" | "chunk", SparsityCurve[]> {
  selection: SelectionCurve[];
}

/** Thresholds of elements and chunks in the score basis depend on all heads: their curves are appended to `curves`. */
function calibrateHead(
  windows: readonly RecordedHead[],
  d: number,
  rope: RopeRows,
  options: CalibrateOptions,
  curves: ScoreCurves,
): CalibratedHead {
  const turns = turnRows(windows, d, rope);
  const keys = windows.map(({ keys }) => new Float64Array(keys));
  const seen = seenKeys(keys, turns, d);
  const { steps: rawSteps, centers: rawCenters } = grid(seen, d);
  const thresholds: Record<string, number[]> = {};
  const measure = (basis: string, keys: Float64Array[], steps: number[], centers: number[]) => {
    const codes = keys.map((list) => codesOf(list, steps, centers));
    for (const grain of ["element", "chunk", "row"] as const) {
      const curve = sparsityCurve(codes, steps, grain);
      thresholds[`${grain}/${basis}`] = equalThresholds(curve).map(six);
      if (grain !== "row" && basis === "score") curves[grain].push(curve);
    }
  };
  // Differences change with the position, as RoPE turns them: the windows are spread over the context.
  const raw = keys.map((list, w) => {
    const by = turns[Math.round((w * (turns.length - 1)) / Math.max(1, windows.length - 1))] as Float32Array;
    return turnedKeys(list, by, d);
  });
  measure("raw", raw, rawSteps, rawCenters);
  if (options.score === false) return { rawSteps, rawCenters, thresholds };
  const basis = scoreBasis(windows, keys, d, turns.slice(0, 1)).map(Math.fround);
  const known = new Map<Float64Array, Float64Array>();
  const map = (list: Float64Array) => {
    const mapped = known.get(list) ?? mapKeys(basis, list, d);
    known.set(list, mapped);
    return mapped;
  };
  const mappedSeen = { here: seen.here.map(map), elsewhere: map(seen.elsewhere) };
  const { steps: scoreSteps, centers: scoreCenters } = grid(mappedSeen, d);
  measure("score", raw.map(map), scoreSteps, scoreCenters);
  const head: CalibratedHead = {
    rawSteps,
    rawCenters,
    scoreSteps,
    scoreCenters,
    basis: encodeMatrix(basis),
    thresholds,
  };
  if (leadingElements(d) < d) {
    const { data, curve } = measureSelection(windows, basis, keys.map(map));
    head.select = data;
    curves.selection.push(curve);
  }
  return head;
}

/** Keys on the grid. */
function codesOf(keys: Float64Array, steps: readonly number[], centers: readonly number[]): Int16Array {
  const d = steps.length;
  const codes = new Int16Array(keys.length);
  for (let at = 0; at < keys.length; at += d)
    for (let i = 0; i < d; i++)
      codes[at + i] = clamp(roundEven(((keys[at + i] as number) - (centers[i] as number)) / (steps[i] as number)));
  return codes;
}

/** Rows of the RoPE table by which keys are turned on: from where they are to positions up to the end of the table. */
function turnRows(windows: readonly RecordedHead[], d: number, { table, turned }: RopeRows): Float32Array[] {
  const longest = Math.max(...windows.map(({ keys }) => keys.length / d));
  const room = Math.max(0, table.length / turned - longest);
  const offsets = new Set(Array.from({ length: TURNS }, (_, i) => Math.floor((room * i) / (TURNS - 1))));
  return [...offsets].map((offset) => table.subarray(offset * turned, (offset + 1) * turned));
}

function stepOf(size: number): number {
  return six(Math.max(1e-6, size) / LARGEST);
}

/** Six digits are enough, and keep the file small. */
const six = (x: number) => Number(x.toPrecision(6));

function scoreBasis(
  windows: readonly RecordedHead[],
  keys: readonly Float64Array[],
  d: number,
  turns: readonly Float32Array[],
): Float64Array {
  const moments = new Float64Array(d * d);
  const differences = new Float64Array(d * d);
  windows.forEach(({ queryMoments }, w) => {
    queryMoments.forEach((x, i) => {
      (moments[i] as number) += x;
    });
    const list = keys[w] as Float64Array;
    const steps = new Float64Array(list.length - d);
    for (let at = 0; at < steps.length; at++) steps[at] = (list[at + d] as number) - (list[at] as number);
    addOuterProducts(differences, steps, steps, d);
  });
  mirror(differences, d);
  const m = averageTurned(moments, d, turns);
  let trace = 0;
  for (let i = 0; i < d; i++) trace += m[i * d + i] as number;
  const ridge = (0.001 * trace) / d || 1;
  const count = windows.reduce((sum, { queries }) => sum + queries, 0);
  for (let i = 0; i < d; i++) (m[i * d + i] as number) += ridge;
  const c = averageTurned(differences, d, turns);
  const { values, vectors } = eigenSymmetric(m, d);
  // W = V·√λ·Vᵀ with the eigenvectors in the rows of `vectors`.
  const scaled = vectors.map((x, at) => x * Math.sqrt(Math.max(0, values[Math.floor(at / d)] as number) / count));
  const w = multiply(transpose(vectors, d), scaled, d);
  const turned = eigenSymmetric(symmetric(multiply(multiply(w, c, d), w, d), d), d).vectors;
  const root = Math.sqrt(d);
  return multiply(turned, w, d).map((x) => x / root);
}

/** Mean of R·X·Rᵀ over the rotations R of `turns`. */
function averageTurned(x: Float64Array, d: number, turns: readonly Float32Array[]): Float64Array {
  const out = new Float64Array(d * d);
  for (const by of turns) {
    const columns = transpose(turnedKeys(x, by, d), d);
    turnedKeys(columns, by, d).forEach((value, at) => {
      (out[at] as number) += value / turns.length;
    });
  }
  return symmetric(out, d);
}

/** Turns the keys `first` … of [tokens][d] on, `count` of them; what is beyond the pairs of `turn` stays. */
function turn(keys: Float64Array, by: Float32Array, d: number, first = 0, count = keys.length / d): void {
  const half = by.length / 2;
  for (let at = first * d; at < (first + count) * d; at += d)
    for (let j = 0; j < half; j++) {
      const a = keys[at + j] as number;
      const b = keys[at + j + half] as number;
      const c = by[j] as number;
      const s = by[j + half] as number;
      keys[at + j] = a * c - b * s;
      keys[at + j + half] = b * c + a * s;
    }
}

/** The keys [tokens][d] turned on; the very same where that changes nothing. */
function turnedKeys(keys: Float64Array, by: Float32Array, d: number): Float64Array {
  const half = by.length / 2;
  if (by.every((x, i) => x === (i < half ? 1 : 0))) return keys;
  const out = keys.slice();
  turn(out, by, d);
  return out;
}

/** Keys by which a grid is laid: those of each window where they are, and others by one more turn. */
interface SeenKeys {
  here: Float64Array[];
  elsewhere: Float64Array;
}

/** Every key where it is and by one turn more; the first ones, attention sinks far from all others, are never turned. */
function seenKeys(windows: readonly Float64Array[], turns: readonly Float32Array[], d: number): SeenKeys {
  const here = windows.map((keys) => turnedKeys(keys, turns[0] as Float32Array, d));
  const elsewhere = new Float64Array(windows.reduce((sum, keys) => sum + keys.length, 0));
  let count = 0;
  for (const keys of windows)
    for (let t = FIRST; t < keys.length / d; t++) {
      if (t % turns.length === 0) continue;
      elsewhere.set(keys.subarray(t * d, (t + 1) * d), count * d);
      turn(elsewhere, turns[t % turns.length] as Float32Array, d, count++, 1);
    }
  return { here, elsewhere: elsewhere.subarray(0, count * d) };
}

function grid({ here, elsewhere }: SeenKeys, d: number): { steps: number[]; centers: number[] } {
  const low = new Float64Array(d).fill(Number.POSITIVE_INFINITY);
  const high = new Float64Array(d).fill(-Infinity);
  for (const keys of here)
    for (let at = 0; at < keys.length; at += d)
      for (let i = 0; i < d; i++) {
        low[i] = Math.min(low[i] as number, keys[at + i] as number);
        high[i] = Math.max(high[i] as number, keys[at + i] as number);
      }
  const count = elsewhere.length / d;
  const rare = Math.floor(count * RARE);
  for (let i = 0; i < d && count > 0; i++) {
    low[i] = Math.min(low[i] as number, nthSmallest(elsewhere, i, d, rare, 1));
    high[i] = Math.max(high[i] as number, -nthSmallest(elsewhere, i, d, rare, -1));
  }
  const middle = (i: number, side: 1 | -1) => ((high[i] as number) + side * (low[i] as number)) / 2;
  return {
    centers: Array.from(low, (_, i) => six(middle(i, 1))),
    steps: Array.from(low, (_, i) => stepOf(middle(i, -1))),
  };
}

/** The number after the `n` smallest of sign · x[first], sign · x[first + step] …; a sorted list of those is kept. */
function nthSmallest(x: Float64Array, first: number, step: number, n: number, sign: 1 | -1): number {
  const smallest = new Float64Array(n + 1).fill(Number.POSITIVE_INFINITY);
  for (let at = first; at < x.length; at += step) {
    const value = sign * (x[at] as number);
    if (!(value < (smallest[n] as number))) continue;
    let to = n;
    for (; to > 0 && (smallest[to - 1] as number) > value; to--) smallest[to] = smallest[to - 1] as number;
    smallest[to] = value;
  }
  return smallest[n] as number;
}

function transpose(x: Float64Array, d: number): Float64Array {
  return x.map((_, at) => x[(at % d) * d + Math.floor(at / d)] as number);
}

function symmetric(x: Float64Array, d: number): Float64Array {
  return x.map((value, at) => (value + (x[(at % d) * d + Math.floor(at / d)] as number)) / 2);
}

function roundEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
}

const clamp = (x: number) => Math.max(-63, Math.min(63, x));
