import type { ModelConfig } from "../config.js";
import { OptionError } from "../errors.js";
import { decodeTriangle, type SelectionData, SLOPES, SPARSITIES } from "../kv/calibration.js";
import type { CachePolicy } from "../kv/policy.js";
import type { AttentionOptions } from "./options.js";

const presets: Record<"exact" | "fast" | "small", AttentionOptions> = {
  exact: {},
  fast: { basis: "score", select: 0.04, valueCutoff: 0.0005 },
  small: { kind: "delta", grain: "element", basis: "score", targetSparsity: 0.6, select: 0.01, valueCutoff: 0.0005 },
};

/** The options with those of the preset filled in. @throws OptionError for a preset that does not exist */
export function withPreset(options: AttentionOptions): AttentionOptions {
  const { preset, ...given } = options;
  const name = choice("preset", preset ?? "exact", ["exact", "fast", "small"]);
  if (name !== "exact" && !options.calibration)
    throw bad(
      "preset",
      `${name} needs a calibration of the model`,
      "Measure one with `deltallm calibrate --file text.txt --out model.json`, and give it as attention.calibration",
    );
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const { targetSparsity, ...rest } = presets[name];
  const thresholds = given.threshold !== undefined || given.thresholds !== undefined;
  return { ...rest, ...(thresholds || targetSparsity === undefined ? {} : { targetSparsity }), ...defined };
}

/** @throws OptionError naming the option */
export function resolveAttention(given: AttentionOptions, config: ModelConfig, contextLength: number): CachePolicy {
  const options = withPreset(given);
  const delta = choice("kind", options.kind ?? "full", ["full", "delta"]) === "delta";
  const grain = choice("grain", options.grain ?? "element", ["element", "chunk", "row"]);
  const selects = options.select !== undefined && options.select !== "off";
  const basis = choice("basis", options.basis ?? (selects ? "score" : "raw"), ["raw", "score"]);
  const { calibration } = options;
  if (calibration) checkCalibration(options, config);
  if (!calibration && (delta || basis === "score"))
    throw bad(
      "calibration",
      "is needed for delta attention and for the score basis",
      "Make one with `deltallm calibrate`",
    );
  if (basis === "score" && calibration?.heads.some((head) => !head.basis))
    throw bad("basis", "score is not in this calibration", "Calibrate again, or use the raw basis");
  if (!delta) {
    // Of no use without delta attention, but what is wrong is wrong.
    number("threshold", options.threshold ?? 0, 0, Number.MAX_VALUE);
    number("targetSparsity", options.targetSparsity ?? 0, 0, 1);
  }
  const grid = calibration && (delta || selects || options.basis) ? calibration.heads : undefined;
  const minimum = number("window", options.window ?? 64, 0, 2 ** 31, true);
  const scale = number("windowScale", options.windowScale ?? 0.05, 0, 1);
  const shape = choice("windowShape", options.windowShape ?? "sliding", ["sliding", "block"]);
  const size = (length: number) => Math.max(1, minimum, Math.round(scale * length));
  const starts = shape === "block" && delta ? blockStarts(size, contextLength) : undefined;
  return {
    delta,
    grain: grain === "element" ? 0 : grain === "chunk" ? 1 : 2,
    basis,
    grid,
    thresholds: delta ? thresholdsOf(options, config, `${grain}/${basis}`) : [],
    windowStart: (position) => (starts ? (starts[position] as number) : Math.max(0, position + 1 - size(position + 1))),
    sink: number("sink", options.sink ?? 4, 0, 2 ** 31, true),
    select: selectPolicy({ ...options, basis }),
    valueCutoff: Math.fround(number("valueCutoff", options.valueCutoff ?? 0, 0, 1)),
  };
}

/** Standard deviations of the rest of a score that are always added to the margin. */
const DEVIATIONS = 3;

function selectPolicy({ select, basis, grain, kind, calibration }: AttentionOptions): CachePolicy["select"] {
  if (select === undefined || select === "off") return undefined;
  const [least, most] = [SLOPES[0] as number, SLOPES.at(-1) as number];
  number("select", select, least, most);
  if (basis !== "score") throw bad("select", "works in the score basis", 'Give basis "score" too');
  if (kind === "delta" && grain === "row")
    throw bad("select", "does not work with grain row", "Use grain element or chunk");
  if (!calibration?.heads.every((head) => head.select))
    throw bad("select", "is not in this calibration", "Calibrate again with `deltallm calibrate`");
  const above = Math.max(
    1,
    SLOPES.findIndex((slope) => slope >= select),
  );
  const [low, high] = [SLOPES[above - 1] as number, SLOPES[above] as number];
  const part = (select - low) / (high - low);
  const data = calibration.heads.map((head) => head.select as SelectionData);
  return {
    slope: select,
    lead: (data[0] as SelectionData).lead,
    deviations: DEVIATIONS,
    slots: data.map(({ lead, mean, covariance, margins }) => {
      const [a, b] = [margins[above - 1] as number, margins[above] as number];
      return { margin: a + (b - a) * part, mean, covariance: decodeTriangle(covariance, calibration.headDim - lead) };
    }),
  };
}

/** Windows that follow each other, each as long as a sliding window would be at its first token. */
function blockStarts(size: (length: number) => number, contextLength: number): Int32Array {
  const starts = new Int32Array(contextLength);
  for (let start = 0; start < contextLength; ) {
    const end = Math.min(contextLength, start + size(start + 1));
    starts.fill(start, start, end);
    start = end;
  }
  return starts;
}

function thresholdsOf(options: AttentionOptions, config: ModelConfig, key: string): number[] {
  const { layers, kvHeads } = config;
  const { threshold, thresholds, targetSparsity, calibration } = options;
  if ([threshold, thresholds, targetSparsity].filter((x) => x !== undefined).length > 1)
    throw bad("threshold", "excludes thresholds and targetSparsity", "Give one of them");
  if (thresholds !== undefined) {
    if (thresholds.length !== layers) throw bad("thresholds", `must have ${layers} entries, one per layer`);
    return thresholds.flatMap((entry) => {
      const perHead = typeof entry === "number" ? Array<number>(kvHeads).fill(entry) : [...entry];
      if (perHead.length !== kvHeads) throw bad("thresholds", `must have ${kvHeads} numbers per layer`);
      return perHead.map((x) => number("thresholds", x, 0, Number.MAX_VALUE));
    });
  }
  if (targetSparsity !== undefined) {
    number("targetSparsity", targetSparsity, 0, 1);
    return (calibration?.heads ?? []).map((head) => {
      const known = head.thresholds[key];
      if (known?.length !== SPARSITIES.length)
        throw bad("targetSparsity", `has no thresholds for ${key} in this calibration`, "Calibrate again");
      return interpolate(known, targetSparsity);
    });
  }
  return Array<number>(layers * kvHeads).fill(number("threshold", threshold ?? 0, 0, Number.MAX_VALUE));
}

function interpolate(known: readonly number[], sparsity: number): number {
  const at = Math.min(sparsity * 20, SPARSITIES.length) - 1;
  if (at < 0) return (known[0] as number) * (at + 1);
  const low = Math.floor(at);
  const a = known[low] as number;
  return a + ((known[low + 1] ?? a) - a) * (at - low);
}

function checkCalibration({ calibration }: AttentionOptions, config: ModelConfig): void {
  const { layers, kvHeads, headDim } = config;
  if (calibration?.format !== "deltallm-calibration" || calibration.version !== 1)
    throw bad("calibration", "is not a calibration this version reads", "Make one with `deltallm calibrate`");
  if (calibration.layers !== layers || calibration.kvHeads !== kvHeads || calibration.headDim !== headDim)
    throw bad("calibration", "was made for a model of another shape", "Calibrate this model");
  const numbers = (list: readonly number[] | undefined, length: number, positive: boolean) =>
    list === undefined ||
    (Array.isArray(list) && list.length === length && list.every((x) => Number.isFinite(x) && (!positive || x > 0)));
  const good =
    Array.isArray(calibration.heads) &&
    calibration.heads.length === layers * kvHeads &&
    calibration.heads.every(
      (head) =>
        head.rawSteps &&
        numbers(head.rawSteps, headDim, true) &&
        numbers(head.rawCenters, headDim, false) &&
        numbers(head.scoreSteps, headDim, true) &&
        numbers(head.scoreCenters, headDim, false) &&
        (head.basis === undefined || typeof head.basis === "string") &&
        !head.basis === !head.scoreSteps &&
        goodSelection(head.select, headDim, calibration.heads[0]?.select?.lead) &&
        typeof head.thresholds === "object" &&
        Object.values(head.thresholds).every((list) => numbers(list, SPARSITIES.length, false)),
    );
  if (!good) throw bad("calibration", "is damaged", "Calibrate again");
}

function goodSelection(select: SelectionData | undefined, headDim: number, lead: number | undefined): boolean {
  if (select === undefined) return true;
  const finite = (list: readonly number[], length: number) =>
    Array.isArray(list) && list.length === length && list.every(Number.isFinite);
  return (
    select.lead === lead &&
    select.lead % 16 === 0 &&
    select.lead >= 16 &&
    select.lead < headDim &&
    finite(select.mean, headDim - select.lead) &&
    finite(select.margins, SLOPES.length) &&
    typeof select.covariance === "string"
  );
}

function bad(key: string, what: string, hint?: string): OptionError {
  return new OptionError(`attention.${key} ${what}`, { key: `attention.${key}` }, hint);
}

function choice<T extends string>(key: string, value: T, allowed: readonly T[]): T {
  if (!allowed.includes(value)) throw bad(key, `must be one of ${allowed.join(", ")}, not ${String(value)}`);
  return value;
}

function number(key: string, value: number, low: number, high: number, whole = false): number {
  if (typeof value !== "number" || !(value >= low && value <= high) || (whole && !Number.isInteger(value)))
    throw bad(key, `must be a ${whole ? "whole " : ""}number from ${low} to ${high}, not ${String(value)}`);
  return value;
}
