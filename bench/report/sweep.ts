import { ENOUGH } from "#src/cli/eval-sweep-report.js";
import type { SweepPoint, SweepSummary } from "#src/eval/sweep.js";
import type { TaskName } from "#src/eval/tasks.js";
import type { Chart, Point } from "../plots/chart.js";
import { table } from "./markdown.js";
import {
  differenceOf,
  memoryOf,
  referenceSpeed,
  speedOf,
  statCells,
  taskCell,
  UNHARMED,
  unharmedRows,
  valueText,
} from "./sweep-cells.js";
import { countOf, joinSweeps, measureName, nameSeries, titles, withStats } from "./sweep-points.js";

/** A report: Markdown, and the charts it refers to by file name. */
export interface SweepReport {
  markdown: string;
  charts: Map<string, Chart>;
}

/**
 * Writes what a sweep came to: tables, charts, and which sparsities cost nothing. Charts show the kinds of settings for
 * which several sparsities were measured.
 * @param sweeps of the same model and data; points of the same name count once
 * @param prefix of the file names of the charts
 * @param about `note`: where and on what it was measured; `name` of the model, for people, instead of that in its file;
 * `stats`: sweeps over the same settings and one text whose sparsities, bytes and speed are shown instead; `speed`: false
 * when something else was running
 */
export function sweepReport(
  sweeps: readonly SweepSummary[],
  prefix: string,
  about: {
    note: string;
    name?: string | undefined;
    stats?: readonly SweepSummary[] | undefined;
    speed?: boolean | undefined;
  },
): SweepReport {
  const sweep = withStats(joinSweeps(sweeps), about);
  const { note, name = sweep.model.name } = about;
  const tasks = sweep.tasks.map(({ task }) => task as TaskName);
  const [full, ...points] = sweep.points as [SweepPoint, ...SweepPoint[]];
  const named = nameSeries(points);
  const charts = new Map<string, Chart>();
  const figures: string[] = [];
  const figure = (file: string, chart: Chart, caption: string) => {
    const usable = chart.points.filter(({ value }) => Number.isFinite(value));
    if (usable.length === 0) return;
    charts.set(`${prefix}-${file}.svg`, { ...chart, points: usable } as Chart);
    figures.push(`![${chart.title}](${prefix}-${file}.svg)`, "", caption, "");
  };
  const at = (point: SweepPoint) => (point.stats?.deltaSparsity ?? 0) * 100;
  const drawn = named.filter(
    (one) =>
      new Set(
        named
          .filter((other) => other.column === one.column)
          .map(({ point }) => point.attention.targetSparsity ?? point.attention.threshold),
      ).size > 1,
  );
  const over = (value: (point: SweepPoint) => Omit<Point, "series"> | undefined) =>
    drawn.flatMap(({ point, series, column }) => {
      const found = value(point);
      return found ? [{ ...found, series, column, x: at(point) }] : [];
    });
  const exact = (value = Number.NaN) => ({ value, low: value, high: value });
  const most = Math.max(0, ...points.map(at));
  const xDomain: [number, number] = [0, Math.ceil(most / 10) * 10];
  const xLabel = "delta sparsity: zeros among the key differences, %";

  for (const task of tasks)
    figure(
      task.replaceAll("_", "-"),
      {
        kind: "lines",
        title: `${name}: ${titles[task]} by delta sparsity`,
        subtitle: `Difference from full attention on the same examples; bars: 95 % interval of the difference. ${task === "perplexity" ? "Higher is worse." : "Lower is worse."}`,
        xLabel,
        xDomain,
        valueLabel: task === "perplexity" ? "perplexity, change in %" : `${measureName(task)}, change in points`,
        reference: { value: 0, label: "full attention" },
        points: over((point) => differenceOf(point, task)),
      },
      `${titles[task]}: full attention ${valueText(full, task)}, ${countOf(sweep, task)}.${points.some((point) => differenceOf(point, task)?.low !== differenceOf(point, task)?.high) ? "" : " Too few for an interval."}`,
    );
  figure(
    "memory",
    {
      kind: "lines",
      title: `${name}: memory of the cache by delta sparsity`,
      subtitle:
        "Bytes of keys and values at the end of the longest prompt, against those of full attention with an int8 cache.",
      xLabel,
      xDomain,
      valueLabel: "memory, % of full attention",
      reference: { value: 100, label: "full attention" },
      points: over(({ stats }) => exact(memoryOf(stats) * 100)),
    },
    "Element and chunk grain shrink the keys, half of the bytes; row grain also merges the values of keys that repeat.",
  );
  figure(
    "speed",
    {
      kind: "lines",
      title: `${name}: speed by delta sparsity`,
      subtitle: "All tokens of the run, prefill and decode, with everything a token costs; each setting was run once.",
      xLabel,
      xDomain,
      valueLabel: "tokens per second",
      zero: true,
      reference: referenceSpeed(full),
      points: over((point) => exact(speedOf(point))),
    },
    "One run each, not interleaved: differences below some 10 % mean nothing. `npm run bench` measures speed properly.",
  );

  const speeds = sweep.points.some((point) => speedOf(point) !== undefined);
  const unharmed = unharmedRows(named, tasks);
  const varied = named.some(({ column }) => column !== undefined);
  const markdown = [
    `# ${name}: delta attention, quality against sparsity`,
    "",
    `Every setting of delta attention against full attention on the same examples: ${tasks
      .map((task) => `${titles[task]} (${countOf(sweep, task)})`)
      .join(", ")}. ${note}`.trim(),
    "",
    "- **delta sparsity**: zeros in the matrix of key differences; **attention sparsity**: delta sparsity × (1 − window ÷",
    "  length), the figure of the [paper](https://arxiv.org/abs/2507.19608).",
    "- **MACs skipped**: multiplications of QKᵀ and PV really left out; **bytes read**: bytes of keys and values a decode",
    "  step reads; **KV memory**: bytes the cache takes at the end of the longest prompt; both against full attention with",
    "  an int8 cache.",
    ...(about.stats?.length
      ? [
          `- Sparsities, bytes and memory are those of ${joinSweeps(about.stats)
            .tasks.map(
              ({ task }) =>
                `${titles[task as TaskName]} (${countOf(joinSweeps(about.stats as SweepSummary[]), task as TaskName)})`,
            )
            .join(", ")}.`,
        ]
      : [
          "- Sparsities and bytes are means over all prompts of the run: a short one lies in the window, where keys are kept",
          "  whole and as differences.",
        ]),
    `- **\\***: the 95 % interval of the difference leaves out 0 (bootstrap over the examples; never marked below ${ENOUGH}).`,
    "",
    "## What costs nothing",
    "",
    `The largest sparsity of each kind at which no task is worse by more than chance and perplexity by less than ${UNHARMED * 100} %:`,
    "",
    table(
      [
        ["grain", ...(varied ? ["settings"] : []), "delta sparsity", "attention sparsity", "KV memory", "differences"],
        ...unharmed.map((row) => (varied ? row : [row[0] as string, ...row.slice(2)])),
      ],
      ["grain", "settings", "differences"],
    ),
    "",
    "## All settings",
    "",
    table(
      [
        [
          "attention",
          "delta sparsity",
          "attention sparsity",
          "MACs skipped",
          "bytes read",
          "KV memory",
          ...(speeds ? ["tokens/s"] : []),
          ...tasks.map((task) => (task === "perplexity" ? "perplexity" : `${titles[task]} ${measureName(task)}`)),
        ],
        ...sweep.points.map((point) => [
          point.name,
          ...statCells(point, speeds),
          ...tasks.map((task) => taskCell(point, task)),
        ]),
      ],
      ["attention"],
    ),
    "",
    `${speeds ? "Tokens per second: prefill and decode of the run together. " : ""}Behind each score: the difference from full attention.`,
    "",
    "## Figures",
    "",
    ...figures,
  ].join("\n");
  return { markdown: `${markdown.trimEnd()}\n`, charts };
}
