import { compare } from "../eval/compare.js";
import type { EvalLog } from "../eval/log.js";
import { joinRuns } from "../eval/merge.js";
import { summarise } from "../eval/summary.js";
import type { SweepRow } from "../eval/sweep.js";
import type { TaskName } from "../eval/tasks.js";

/** The one measure by which a task is judged in a table of many runs. */
export const mainMeasure: Record<TaskName, string> = {
  winogrande: "acc",
  arc_easy: "acc_norm",
  arc_challenge: "acc_norm",
  piqa: "acc_norm",
  openbookqa: "acc_norm",
  boolq: "acc",
  lambada: "acc",
  squad_v2: "f1",
  perplexity: "perplexity",
};

/** Resampling fewer examples than this says nothing about chance. */
export const ENOUGH = 10;

/** What the runs of a sweep come to, as a Markdown table; `full` is what the others are compared with. */
export function sweepReport(full: EvalLog, rows: readonly SweepRow[], options: { seed: number }): string {
  const tasks = full.header.tasks.map(({ task }) => task as TaskName);
  const columns = tasks.map((task) => (task === mainMeasure[task] ? task : `${task} ${mainMeasure[task]}`));
  const lines = [
    ["attention", "delta sparsity", "attention sparsity", "MACs skipped", "bytes read", ...columns],
    ["---", "--:", "--:", "--:", "--:", ...columns.map(() => "--:")],
    ["full", ...attentionCells(full), ...tasks.map((task) => valueCell(full, task))],
  ];
  for (const { name, log } of rows) {
    const comparisons = compare(log, full, options);
    const cells = tasks.map((task) => {
      // Perplexities are compared by their logarithms.
      const measure = task === "perplexity" ? "nll" : mainMeasure[task];
      const found = comparisons.find((each) => each.task === task && each.measure === measure);
      const sure = found?.ci && found.n >= ENOUGH && (found.ci[0] > 0 || found.ci[1] < 0);
      return `${valueCell(log, task)}${sure ? " \\*" : ""}`;
    });
    lines.push([name, ...attentionCells(log), ...cells]);
  }
  const counts = full.header.tasks.map(({ task, n }) => `${task} ${n}`).join(", ");
  return [
    `# ${full.header.model.name}: delta attention against full attention`,
    "",
    ...lines.map((cells) => `| ${cells.join(" | ")} |`),
    "",
    `Examples: ${counts}. Accuracies and F1 in per cent. \\*: the 95 % bootstrap interval of the difference from full`,
    `attention, example by example, does not contain 0 (never marked below ${ENOUGH} examples).`,
    "",
  ].join("\n");
}

function attentionCells(log: EvalLog): string[] {
  const attention = joinRuns(log.runs)[0]?.attention;
  if (!attention) return ["", "", "", ""];
  const { deltaSparsity, attentionSparsity, skippedMacs, bytesRead } = attention;
  return [deltaSparsity, attentionSparsity, skippedMacs, bytesRead].map((share) => `${(share * 100).toFixed(1)} %`);
}

function valueCell(log: EvalLog, task: TaskName): string {
  const measures = summarise(log.records, { resamples: 1 }).find((summary) => summary.task === task)?.measures;
  const value = measures?.[mainMeasure[task]]?.value;
  if (value === undefined) return "";
  return (mainMeasure[task].startsWith("acc") ? value * 100 : value).toFixed(2);
}
