import { ENOUGH, mainMeasure } from "#src/cli/eval-sweep-report.js";
import type { SweepPoint, SweepSummary } from "#src/eval/sweep.js";
import type { TaskName } from "#src/eval/tasks.js";
import type { Chart, Point } from "../plots/chart.js";

/** A report: Markdown, and the charts it refers to by file name. */
export interface SweepReport {
  markdown: string;
  charts: Map<string, Chart>;
}

/** A perplexity that is larger by less counts as unharmed. */
const UNHARMED = 0.01;

/** Names of tasks for people. */
const titles: Record<TaskName, string> = {
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

/** How a setting differs from full attention on a task, in the unit of `unitOf`. */
interface Difference {
  value: number;
  low: number;
  high: number;
  /** Whether the interval of enough examples leaves out 0. */
  sure: boolean;
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

function joinSweeps(sweeps: readonly SweepSummary[]): SweepSummary {
  const [first] = sweeps as [SweepSummary];
  const same = ({ model, settings, tasks }: SweepSummary) => JSON.stringify([model.fingerprint, settings, tasks]);
  if (!sweeps.every((other) => same(other) === same(first)))
    throw new Error("These sweeps are of different models, settings or data");
  const points = new Map(sweeps.flatMap((sweep) => sweep.points.map((point) => [point.name, point])));
  return { ...first, points: [...points.values()] };
}

/** The same points, with sparsities, bytes and speed from other runs of the same settings. */
function withStats(
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

interface Named {
  point: SweepPoint;
  /** Grain, and basis where it varies. */
  series: string;
  /** Everything else that varies but the sparsity. */
  column: string | undefined;
}

function nameSeries(points: readonly SweepPoint[]): Named[] {
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

const measureName = (task: TaskName) => ({ f1: "F1", acc: "accuracy", acc_norm: "accuracy" })[mainMeasure[task]] ?? "";

function countOf(sweep: SweepSummary, task: TaskName): string {
  const n = sweep.tasks.find((each) => each.task === task)?.n ?? 0;
  if (task !== "perplexity") return `${n} examples`;
  const window = sweep.settings.textWindow;
  return `${n} ${n === 1 ? "window" : "windows"}${window ? ` of ${window} tokens` : ""}`;
}

/** Accuracies and F1 in points, perplexity in per cent. */
function differenceOf(point: SweepPoint, task: TaskName): Difference | undefined {
  const measure = task === "perplexity" ? "nll" : mainMeasure[task];
  const found = point.comparison?.find((each) => each.task === task && each.measure === measure);
  if (!found) return undefined;
  const scale = (x: number) =>
    task === "perplexity" ? (Math.exp(x) - 1) * 100 : measure.startsWith("acc") ? x * 100 : x;
  const [low, high] = found.ci ?? [found.difference, found.difference];
  const sure = found.ci !== undefined && found.n >= ENOUGH && (low > 0 || high < 0);
  return { value: scale(found.difference), low: scale(low), high: scale(high), sure };
}

function valueText(point: SweepPoint, task: TaskName): string {
  const value = point.tasks.find((each) => each.task === task)?.measures[mainMeasure[task]]?.value;
  if (value === undefined) return "–";
  return (mainMeasure[task].startsWith("acc") ? value * 100 : value).toFixed(2);
}

function signed(x: number): string {
  const text = Math.abs(x).toFixed(2);
  return text === "0.00" ? "±0.00" : `${x < 0 ? "−" : "+"}${text}`;
}

function taskCell(point: SweepPoint, task: TaskName): string {
  const difference = differenceOf(point, task);
  const value = valueText(point, task);
  if (!difference) return value;
  return `${value} (${signed(difference.value)}${task === "perplexity" ? " %" : ""}${difference.sure ? " \\*" : ""})`;
}

const percent = (share = Number.NaN) => (Number.isNaN(share) ? "" : `${(share * 100).toFixed(1)} %`);

function statCells({ stats, ...point }: SweepPoint, speeds: boolean): string[] {
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
function memoryOf(stats: SweepPoint["stats"]): number {
  return stats?.kvBytesFull ? stats.kvBytes / stats.kvBytesFull : Number.NaN;
}

function speedOf({ speed }: Pick<SweepPoint, "speed">): number | undefined {
  if (!speed) return undefined;
  const ms = speed.prefill.ms + speed.decode.ms;
  return ms > 0 ? ((speed.prefill.tokens + speed.decode.tokens) / ms) * 1000 : undefined;
}

function referenceSpeed(full: SweepPoint) {
  const value = speedOf(full);
  return value === undefined ? undefined : { value, label: "full attention" };
}

/** For each series the row of its sparsest unharmed point. */
function unharmedRows(named: readonly Named[], tasks: readonly TaskName[]): string[][] {
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

/** A Markdown table; the columns named in `left` are text, the others numbers. */
function table(rows: readonly (readonly string[])[], left: readonly string[]): string {
  const [head, ...body] = rows as [readonly string[], ...(readonly string[])[]];
  const rule = head.map((name) => (left.includes(name) ? "---" : "--:"));
  return [head, rule, ...body].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
