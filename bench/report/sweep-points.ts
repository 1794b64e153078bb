import { mainMeasure } from "#src/cli/eval-sweep-report.js";
import type { SweepPoint, SweepSummary } from "#src/eval/sweep.js";
import type { TaskName } from "#src/eval/tasks.js";

/** Names of tasks for people. */
export const titles: Record<TaskName, string> = {
  winogrande: "WinoGrande",
  arc_easy: "ARC easy",
  arc_challenge: "ARC challenge",
  piqa: "PIQA",
  openbookqa: "OpenBookQA",
  boolq: "BoolQ",
  lambada: "LAMBADA",
  squad_v2: "SQuAD v2",
  perplexity: "perplexity",
};

export function joinSweeps(sweeps: readonly SweepSummary[]): SweepSummary {
  const [first] = sweeps as [SweepSummary];
  const same = ({ model, settings, tasks }: SweepSummary) => JSON.stringify([model.fingerprint, settings, tasks]);
  if (!sweeps.every((other) => same(other) === same(first)))
    throw new Error("These sweeps are of different models, settings or data");
  const points = new Map(sweeps.flatMap((sweep) => sweep.points.map((point) => [point.name, point])));
  return { ...first, points: [...points.values()] };
}

/** The same points, with sparsities, bytes and speed from other runs of the same settings. */
export function withStats(
  sweep: SweepSummary,
  { stats, speed = true }: { stats?: readonly SweepSummary[] | undefined; speed?: boolean | undefined },
): SweepSummary {
  const others = stats?.length ? new Map(joinSweeps(stats).points.map((point) => [point.name, point])) : undefined;
  const points = sweep.points.map((point) => {
    const from = others ? others.get(point.name) : point;
    return { ...point, stats: from?.stats, speed: speed ? from?.speed : undefined };
  });
  return { ...sweep, points };
}

export interface Named {
  point: SweepPoint;
  /** Grain, and basis where it varies. */
  series: string;
  /** Everything else that varies but the sparsity. */
  column: string | undefined;
}

export function nameSeries(points: readonly SweepPoint[]): Named[] {
  const values = (key: string) => new Set(points.map(({ attention }) => JSON.stringify(attention[key])));
  const basisVaries = values("basis").size > 1;
  const others = ["windowScale", "window", "windowShape", "sink", "valueCutoff"].filter((key) => values(key).size > 1);
  const words: Record<string, (value: unknown) => string> = {
    windowScale: (x) => `window ${Number(x ?? 0.05) * 100} %`,
    window: (x) => `window ≥ ${x ?? 64}`,
    windowShape: (x) => `${x ?? "sliding"} window`,
    sink: (x) => `sink ${x ?? 4}`,
    valueCutoff: (x) => `ε = ${x ?? 0}`,
  };
  return points.map((point) => ({
    point,
    series: `${point.attention.grain}${basisVaries ? `, ${point.attention.basis} basis` : ""}`,
    column: others.length ? others.map((key) => words[key]?.(point.attention[key])).join(", ") : undefined,
  }));
}

export const measureName = (task: TaskName) =>
  ({ f1: "F1", acc: "accuracy", acc_norm: "accuracy" })[mainMeasure[task]] ?? "";

export function countOf(sweep: SweepSummary, task: TaskName): string {
  const n = sweep.tasks.find((each) => each.task === task)?.n ?? 0;
  if (task !== "perplexity") return `${n} examples`;
  const window = sweep.settings.textWindow;
  return `${n} ${n === 1 ? "window" : "windows"}${window ? ` of ${window} tokens` : ""}`;
}
