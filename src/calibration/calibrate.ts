import type { ModelConfig } from "../config.js";
import type { Kernels } from "../kernels/generated.js";
import { type CalibratedHead, type Calibration, encodeMatrix } from "../kv/calibration.js";
import type { Memory } from "../memory/memory.js";
import type { RopeRows } from "../model/rope-tables.js";
import { scoreBasis } from "./basis.js";
import { grid, six } from "./grid.js";
import { farImportance } from "./importance.js";
import { mapKeys } from "./products.js";
import type { RecordedHead } from "./recorded-head.js";
import { chooseMargins, leadingElements, measureSelection, type SelectionCurve } from "./selection.js";
import { balancedThresholds, equalThresholds, type SparsityCurve, sparsityCurve } from "./thresholds.js";
import { seenKeys, turnedKeys, turnRows } from "./turns.js";
import { codesOf } from "./walk.js";
import { Workspace } from "./workspace.js";

export interface CalibrateOptions {
  /** Identifies the weights. */
  model: string;
  /** How a layer turns its keys. */
  rope(layer: number): RopeRows;
  /** Also make the score basis (default) with its thresholds. */
  score?: boolean | undefined;
  onProgress?: ((fraction: number) => void) | undefined;
  /** Whose memory and kernels are used; made when missing. */
  engine?: { memory: Memory; kernels: Kernels } | undefined;
}

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
  const space = new Workspace(workspaceBytes(recordings, headDim), options.engine);
  try {
    let rope: RopeRows | undefined;
    for (let index = 0; index < layers * kvHeads; index++) {
      const windows = recordings.map((heads) => heads[index] as RecordedHead);
      if (!rope || index % kvHeads === 0) rope = options.rope(index / kvHeads);
      const turns = turnRows(windows, headDim, rope);
      space.within(() => {
        const keys = windows.map(({ keys }) => space.copy(keys));
        heads.push(calibrateHead(space, { windows, keys, d: headDim, turns }, options, curves));
        if (options.score !== false) importance.push(farImportance(space, windows, keys, headDim));
      });
      options.onProgress?.((index + 1) / (layers * kvHeads));
    }
  } finally {
    space.dispose();
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

/** What the parts below take at most for one KV head: keys in several forms, products of queries with them, matrices. */
function workspaceBytes(recordings: readonly (readonly RecordedHead[])[], d: number): number {
  const keys = recordings.map(([head]) => head?.keys.length ?? 0);
  const all = keys.reduce((sum, length) => sum + length, 0);
  return 8 * (12 * all + (16 * Math.max(...keys)) / d + 16 * d * d) + 64 * 1024 * (1 + recordings.length);
}

interface Head {
  windows: readonly RecordedHead[];
  /** Of each window, [tokens][d]. */
  keys: readonly Float64Array[];
  d: number;
  turns: readonly Float32Array[];
}

/** Thresholds of elements and chunks in the score basis depend on all heads: their curves are appended to `curves`. */
function calibrateHead(
  space: Workspace,
  { windows, keys, d, turns }: Head,
  options: CalibrateOptions,
  curves: ScoreCurves,
): CalibratedHead {
  const seen = seenKeys(space, keys, turns, d);
  const { steps: rawSteps, centers: rawCenters } = grid(seen, d);
  const thresholds: Record<string, number[]> = {};
  const measure = (basis: string, keys: Float64Array[], steps: number[], centers: number[]) =>
    space.within(() => {
      const codes = keys.map((list) => codesOf(space, list, steps, centers));
      for (const grain of ["element", "chunk", "row"] as const) {
        const curve = space.within(() => sparsityCurve(space, codes, steps, grain));
        thresholds[`${grain}/${basis}`] = equalThresholds(curve).map(six);
        if (grain !== "row" && basis === "score") curves[grain].push(curve);
      }
    });
  // Differences change with the position, as RoPE turns them: the windows are spread over the context.
  const raw = keys.map((list, w) => {
    const by = turns[Math.round((w * (turns.length - 1)) / Math.max(1, windows.length - 1))] as Float32Array;
    return turnedKeys(list, by, d, space);
  });
  measure("raw", raw, rawSteps, rawCenters);
  if (options.score === false) return { rawSteps, rawCenters, thresholds };
  const basis = scoreBasis(space, windows, keys, d, turns.slice(0, 1)).map(Math.fround);
  const known = new Map<Float64Array, Float64Array>();
  const map = (list: Float64Array) => {
    const mapped = known.get(list) ?? mapKeys(space, basis, list, d);
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
    const { data, curve } = measureSelection(space, windows, basis, keys.map(map));
    head.select = data;
    curves.selection.push(curve);
  }
  return head;
}
