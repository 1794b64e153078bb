import type { ModelConfig } from "../config.js";
import { type CalibratedHead, type Calibration, encodeMatrix } from "../kv/calibration.js";
import { eigenSymmetric, multiply } from "../kv/symmetric.js";
import { farImportance } from "./importance.js";
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
  for (let index = 0; index < layers * kvHeads; index++) {
    const windows = recordings.map((heads) => heads[index] as RecordedHead);
    const rope = options.rope(Math.floor(index / kvHeads));
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
  const { steps: rawSteps, centers: rawCenters } = mappedGrid(windows, undefined, d, turns);
  const thresholds: Record<string, number[]> = {};
  const measure = (basis: string, keys: Float64Array[], steps: number[], centers: number[]) => {
    const code = (x: number, i: number) => clamp(roundEven((x - (centers[i] ?? 0)) / (steps[i] as number)));
    const codes = keys.map((list) =>
      Int16Array.from({ length: list.length }, (_, at) => code(list[at] as number, at % d)),
    );
    for (const grain of ["element", "chunk", "row"] as const) {
      const curve = sparsityCurve(codes, steps, grain);
      thresholds[`${grain}/${basis}`] = equalThresholds(curve).map(six);
      if (grain !== "row" && basis === "score") curves[grain].push(curve);
    }
  };
  // Differences change with the position, as RoPE turns them: the windows are spread over the context.
  const raw = windows.map(({ keys }, w) => {
    const turn = turns[Math.round((w * (turns.length - 1)) / Math.max(1, windows.length - 1))] as Float32Array;
    return mapKeys(keys, d, (key) => turnKey(key, turn, d));
  });
  measure("raw", raw, rawSteps, rawCenters);
  if (options.score === false) return { rawSteps, rawCenters, thresholds };
  const basis = scoreBasis(windows, d, turns.slice(0, 1)).map(Math.fround);
  const { steps: scoreSteps, centers: scoreCenters } = mappedGrid(windows, basis, d, turns);
  measure(
    "score",
    raw.map((keys) => mapKeys(keys, d, (key) => mapKey(basis, key, d))),
    scoreSteps,
    scoreCenters,
  );
  const mapped = windows.map(({ keys }) => mapKeys(keys, d, (key) => mapKey(basis, key, d)));
  const head: CalibratedHead = {
    rawSteps,
    rawCenters,
    scoreSteps,
    scoreCenters,
    basis: encodeMatrix(basis),
    thresholds,
  };
  if (leadingElements(d) < d) {
    const { data, curve } = measureSelection(windows, basis, mapped);
    head.select = data;
    curves.selection.push(curve);
  }
  return head;
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

function scoreBasis(windows: readonly RecordedHead[], d: number, turns: readonly Float32Array[]): Float64Array {
  const moments = new Float64Array(d * d);
  const differences = new Float64Array(d * d);
  for (const { keys, queryMoments } of windows) {
    queryMoments.forEach((x, i) => {
      (moments[i] as number) += x;
    });
    const step = new Float64Array(d);
    for (let at = d; at < keys.length; at += d) {
      for (let i = 0; i < d; i++) step[i] = (keys[at + i] as number) - (keys[at - d + i] as number);
      for (let i = 0; i < d; i++) {
        const x = step[i] as number;
        for (let j = 0; j < d; j++) (differences[i * d + j] as number) += x * (step[j] as number);
      }
    }
  }
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
  for (const turn of turns) {
    const rows = new Float64Array(d * d);
    for (let i = 0; i < d; i++) rows.set(turnKey(x.subarray(i * d, (i + 1) * d), turn, d), i * d);
    const columns = transpose(rows, d);
    for (let i = 0; i < d; i++) {
      const row = turnKey(columns.subarray(i * d, (i + 1) * d), turn, d);
      for (let j = 0; j < d; j++) (out[i * d + j] as number) += (row[j] as number) / turns.length;
    }
  }
  return symmetric(out, d);
}

/** `map` of every key. */
function mapKeys(
  keys: Float32Array | Float64Array,
  d: number,
  map: (key: ArrayLike<number>) => Float64Array,
): Float64Array {
  const out = new Float64Array(keys.length);
  for (let at = 0; at < keys.length; at += d) out.set(map(keys.subarray(at, at + d)), at);
  return out;
}

/** What is beyond the pairs of `turn` stays. */
function turnKey(key: ArrayLike<number>, turn: Float32Array, d: number): Float64Array {
  const half = turn.length / 2;
  const out = new Float64Array(d);
  for (let i = turn.length; i < d; i++) out[i] = key[i] as number;
  for (let j = 0; j < half; j++) {
    const [a, b] = [key[j] as number, key[j + half] as number];
    const [c, s] = [turn[j] as number, turn[j + half] as number];
    out[j] = a * c - b * s;
    out[j + half] = b * c + a * s;
  }
  return out;
}

function mappedGrid(
  windows: readonly RecordedHead[],
  basis: Float64Array | undefined,
  d: number,
  turns: readonly Float32Array[],
): { steps: number[]; centers: number[] } {
  const low = new Float64Array(d).fill(Number.POSITIVE_INFINITY);
  const high = new Float64Array(d).fill(-Infinity);
  const elsewhere: Float64Array[] = [];
  for (const { keys } of windows)
    turns.forEach((turn, first) => {
      // Every key where it is and by one turn more; the first ones, attention sinks far from all others, are never turned.
      for (let t = 0; t < keys.length / d; t++) {
        if (first > 0 && (t < FIRST || t % turns.length !== first)) continue;
        const turned = turnKey(keys.subarray(t * d, (t + 1) * d), turn, d);
        const key = basis ? mapKey(basis, turned, d) : turned;
        if (first > 0) elsewhere.push(key);
        else
          for (let i = 0; i < d; i++) {
            low[i] = Math.min(low[i] as number, key[i] as number);
            high[i] = Math.max(high[i] as number, key[i] as number);
          }
      }
    });
  const rare = Math.floor(elsewhere.length * RARE);
  const column = new Float64Array(elsewhere.length);
  for (let i = 0; i < d && elsewhere.length; i++) {
    for (let t = 0; t < elsewhere.length; t++) column[t] = elsewhere[t]?.[i] as number;
    column.sort();
    low[i] = Math.min(low[i] as number, column[rare] as number);
    high[i] = Math.max(high[i] as number, column[elsewhere.length - 1 - rare] as number);
  }
  const middle = (i: number, side: 1 | -1) => ((high[i] as number) + side * (low[i] as number)) / 2;
  return {
    centers: Array.from(low, (_, i) => six(middle(i, 1))),
    steps: Array.from(low, (_, i) => stepOf(middle(i, -1))),
  };
}

function mapKey(basis: Float64Array, key: ArrayLike<number>, d: number): Float64Array {
  const out = new Float64Array(d);
  for (let i = 0; i < d; i++) {
    let sum = 0;
    for (let j = 0; j < d; j++) sum += (basis[i * d + j] as number) * (key[j] as number);
    out[i] = sum;
  }
  return out;
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
