import { ENOUGH, mainMeasure } from "#src/cli/eval-sweep-report.js";
import type { SweepPoint } from "#src/eval/sweep.js";
import type { TaskName } from "#src/eval/tasks.js";
import { percent, signed } from "./markdown.js";
import { type Named, titles } from "./sweep-points.js";

/** How a setting differs from full attention on a task, in the unit of `unitOf`. */
export interface Difference {
  value: number;
  low: number;
  high: number;
  /** Whether the interval of enough examples leaves out 0. */
  sure: boolean;
}

/** Accuracies and F1 in points, perplexity in per cent. */
export function differenceOf(point: SweepPoint, task: TaskName): Difference | undefined {
  const measure = task === "perplexity" ? "nll" : mainMeasure[task];
  const found = point.comparison?.find((each) => each.task === task && each.measure === measure);
  if (!found) return undefined;
  const scale = (x: number) =>
    task === "perplexity" ? (Math.exp(x) - 1) * 100 : measure.startsWith("acc") ? x * 100 : x;
  const [low, high] = found.ci ?? [found.difference, found.difference];
  const sure = found.ci !== undefined && found.n >= ENOUGH && (low > 0 || high < 0);
  return { value: scale(found.difference), low: scale(low), high: scale(high), sure };
}

export function valueText(point: SweepPoint, task: TaskName): string {
  const value = point.tasks.find((each) => each.task === task)?.measures[mainMeasure[task]]?.value;
  if (value === undefined) return "–";
  return (mainMeasure[task].startsWith("acc") ? value * 100 : value).toFixed(2);
}

export function taskCell(point: SweepPoint, task: TaskName): string {
  const difference = differenceOf(point, task);
  const value = valueText(point, task);
  if (!difference) return value;
  return `${value} (${signed(difference.value)}${task === "perplexity" ? " %" : ""}${difference.sure ? " \\*" : ""})`;
}

export function statCells({ stats, ...point }: SweepPoint, speeds: boolean): string[] {
  const speed = speedOf(point);
  return [
    percent(stats?.deltaSparsity),
    percent(stats?.attentionSparsity),
    percent(stats?.skippedMacs),
    percent(stats?.bytesRead),
    percent(memoryOf(stats)),
    ...(speeds ? [speed === undefined ? "" : speed.toFixed(1)] : []),
  ];
}

/** Bytes of the cache against those of full attention, as a share. */
export function memoryOf(stats: SweepPoint["stats"]): number {
  return stats?.kvBytesFull ? stats.kvBytes / stats.kvBytesFull : Number.NaN;
}

export function speedOf({ speed }: Pick<SweepPoint, "speed">): number | undefined {
  if (!speed) return undefined;
  const ms = speed.prefill.ms + speed.decode.ms;
  return ms > 0 ? ((speed.prefill.tokens + speed.decode.tokens) / ms) * 1000 : undefined;
}

export function referenceSpeed(full: SweepPoint) {
  const value = speedOf(full);
  return value === undefined ? undefined : { value, label: "full attention" };
}

/** A perplexity that is larger by less counts as unharmed. */
export const UNHARMED = 0.01;

/** For each series the row of its sparsest unharmed point. */
export function unharmedRows(named: readonly Named[], tasks: readonly TaskName[]): string[][] {
  const rows: string[][] = [];
  for (const name of new Set(named.map(({ series, column }) => JSON.stringify([series, column])))) {
    const own = named.filter(({ series, column }) => JSON.stringify([series, column]) === name);
    const [{ series, column }] = own as [Named];
    const good = own
      .filter(({ point }) =>
        tasks.every((task) => {
          const difference = differenceOf(point, task);
          if (!difference) return true;
          return task === "perplexity" ? difference.value < UNHARMED * 100 : !difference.sure || difference.value >= 0;
        }),
      )
      .sort((a, b) => (b.point.stats?.deltaSparsity ?? 0) - (a.point.stats?.deltaSparsity ?? 0))[0];
    const stats = good?.point.stats;
    const differences = tasks.flatMap((task) => {
      const difference = good && differenceOf(good.point, task);
      return difference ? `${titles[task]} ${signed(difference.value)}${task === "perplexity" ? " %" : ""}` : [];
    });
    rows.push([
      series,
      column ?? "",
      good ? percent(stats?.deltaSparsity) : "none measured",
      percent(stats?.attentionSparsity),
      percent(memoryOf(stats)),
      differences.join(", "),
    ]);
  }
  return rows;
}
