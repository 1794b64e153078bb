import { type Comparison, compare } from "./compare.js";
import type { AttentionSummary, EvalLog, LogHeader, RunLine } from "./log.js";
import { joinRuns } from "./merge.js";
import type { BootstrapOptions } from "./statistics/bootstrap.js";
import { summarise, type TaskSummary } from "./summary.js";

/** One run of a sweep. */
export interface SweepRow {
  name: string;
  log: EvalLog;
}

/** One setting of a sweep and what it came to. */
export interface SweepPoint {
  /** `full`, or the axes with their values. */
  name: string;
  /** The attention options, as in the header of its log. */
  attention: Record<string, unknown>;
  /** What attention did; absent when nothing was computed. */
  stats?: AttentionSummary | undefined;
  speed?: RunLine["speed"];
  tasks: TaskSummary[];
  /** This setting against full attention, example by example; absent for full attention itself. */
  comparison?: Comparison[] | undefined;
}

/** A sweep as one object: what `eval --sweep --json` prints, and `sweep.json` in its folder. */
export interface SweepSummary {
  format: "deltallm-sweep";
  version: 1;
  model: LogHeader["model"];
  /** Settings all points have in common. */
  settings: Record<string, unknown>;
  tasks: { task: string; n: number }[];
  /** Full attention first. */
  points: SweepPoint[];
}

/** Sums up the runs of a sweep; `full` is what the others are compared with. */
export function summariseSweep(full: EvalLog, rows: readonly SweepRow[], options: BootstrapOptions): SweepSummary {
  const point = (name: string, log: EvalLog): SweepPoint => {
    const run = joinRuns(log.runs)[0];
    return {
      name,
      attention: log.header.settings.attention as Record<string, unknown>,
      stats: run?.attention,
      speed: run?.speed,
      tasks: summarise(log.records, options),
    };
  };
  const { attention: _, ...settings } = full.header.settings;
  return {
    format: "deltallm-sweep",
    version: 1,
    model: full.header.model,
    settings,
    tasks: full.header.tasks.map(({ task, n }) => ({ task, n })),
    points: [
      point("full", full),
      ...rows.map(({ name, log }) => ({ ...point(name, log), comparison: compare(log, full, options) })),
    ],
  };
}
