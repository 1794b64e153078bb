import { type Comparison, compare } from "../eval/compare.js";
import type { AttentionSummary, EvalLog } from "../eval/log.js";
import { readLog } from "../eval/log-file.js";
import { joinRuns } from "../eval/merge.js";
import { summarise, type TaskSummary } from "../eval/summary.js";
import type { ReportFlags } from "./eval-options.js";
import { formatAttention, formatTable } from "./format.js";
import type { Terminal } from "./terminal.js";

/** Everything a log comes to. */
export interface EvalReport {
  model: EvalLog["header"]["model"];
  settings: EvalLog["header"]["settings"];
  shard?: EvalLog["header"]["shard"];
  /** Per task: `n`, `of` (examples of the whole run), `cut`, and for each measure its value and its `…_ci`. */
  tasks: Record<string, Record<string, unknown>>;
  attention: AttentionSummary | null;
  comparison?: Comparison[];
}

/** Prints a log as a table or as one JSON object. */
export async function report(terminal: Terminal, log: EvalLog, flags: ReportFlags): Promise<void> {
  const { header } = log;
  const options = { seed: flags.seed };
  const summaries = summarise(log.records, options);
  const attention = joinRuns(log.runs)[0]?.attention ?? null;
  const comparison = flags.compare === undefined ? undefined : compare(log, readLog(flags.compare), options);
  const of = (task: string) => header.tasks.find((entry) => entry.task === task)?.n ?? 0;
  if (flags.json) {
    const result: EvalReport = {
      model: header.model,
      settings: header.settings,
      ...(header.shard && { shard: header.shard }),
      tasks: Object.fromEntries(summaries.map((summary) => [summary.task, flat(summary, of(summary.task))])),
      attention,
      ...(comparison && { comparison }),
    };
    await terminal.json(result);
    return;
  }
  await terminal.line(formatSummaries(summaries, of));
  if (attention) await terminal.line(`attention: ${formatAttention(attention)}`);
  if (comparison) await terminal.line(`\nagainst ${flags.compare}:\n${formatComparison(comparison)}`);
}

function flat({ n, cut, measures }: TaskSummary, of: number): Record<string, unknown> {
  const result: Record<string, unknown> = { n, of, cut };
  for (const [name, { value, ci }] of Object.entries(measures)) {
    result[name] = value;
    if (ci) result[`${name}_ci`] = ci;
  }
  return result;
}

function formatSummaries(summaries: readonly TaskSummary[], of: (task: string) => number): string {
  const rows = [["task", "n", "measure", "value", "95 % interval"]];
  for (const { task, n, cut, measures } of summaries) {
    let first = true;
    for (const [name, { value, ci }] of Object.entries(measures)) {
      const count = `${n < of(task) ? `${n} of ${of(task)}` : n}${cut ? `, ${cut} cut` : ""}`;
      const interval = ci ? ci.map((end) => formatValue(name, end)).join(" – ") : "";
      rows.push([first ? task : "", first ? count : "", name, formatValue(name, value), interval]);
      first = false;
    }
  }
  return formatTable(rows, [1, 3]);
}

function formatComparison(comparisons: readonly Comparison[]): string {
  const rows = [
    ["task", "measure", "n", "this", "other", "difference", "95 % interval", "only this / only other", "p"],
  ];
  for (const { task, measure, n, value, other, difference, ci, onlyThis, onlyOther, p } of comparisons) {
    const digits = (number: number) => `${number > 0 ? "+" : ""}${formatValue(measure, number)}`;
    rows.push([
      task,
      measure,
      String(n),
      formatValue(measure, value),
      formatValue(measure, other),
      digits(difference),
      ci ? ci.map(digits).join(" – ") : "",
      p === undefined ? "" : `${onlyThis} / ${onlyOther}`,
      p === undefined ? "" : p.toFixed(3),
    ]);
  }
  return formatTable(rows, [2, 3, 4, 5, 8]);
}

/** Accuracies and SQuAD's figures per cent, everything else as it is. */
function formatValue(measure: string, value: number): string {
  if (measure.startsWith("acc")) return (value * 100).toFixed(2);
  if (measure === "tokens") return String(value);
  return value.toFixed(measure === "nll" ? 4 : 2);
}
