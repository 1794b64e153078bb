import { existsSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { OptionError } from "../../errors.js";
import { type Comparison, compare } from "../../eval/compare.js";
import type { EvalLog } from "../../eval/log.js";
import { joinRuns } from "../../eval/merge.js";
import { summarise, type TaskSummary } from "../../eval/summary.js";
import type { TaskName } from "../../eval/tasks.js";
import { readTaskData, readWikiValidation, type TaskData } from "../eval-data.js";
import type { EvalFlags, Limits } from "../eval-options.js";
import type { Terminal } from "../terminal.js";
import { writeCalibration } from "./calibrate.js";
import { runOnce } from "./eval.js";

export interface ReproduceFlags {
  models: string;
  bitnet: string;
  llama: string;
  tasks: TaskName[];
  data?: string;
  calibration?: string;
  limit?: Limits;
  every?: number;
  ctx?: number;
  threads?: number;
  out: string;
  yes?: boolean;
  offline?: boolean;
  json?: boolean;
}

/** The paper's setting: single elements of plain keys, 60 % of them zero, a window of 5 % in blocks. */
const PAPER = {
  grain: "element",
  basis: "raw",
  sparsity: 0.6,
  windowScale: 0.05,
  window: 0,
  windowShape: "block",
} as const;

/** What the paper reports, arXiv 2507.19608. It gives numbers for BitNet only: "about the same" for Llama. */
const PAPER_FIGURES: Record<string, Record<string, string>> = {
  bitnet: { "squad_v2 f1": "29.63 → 30.97", "attention sparsity": "57 % (prefill 60 %)" },
};

interface ModelResult {
  model: string;
  source: string;
  full: TaskSummary[];
  delta: TaskSummary[];
  comparison: Comparison[];
  attentionSparsity: number | null;
  deltaSparsity: number | null;
}

/** `reproduce`: full attention, calibration, delta attention, and a table beside the paper's figures. */
export async function reproduce(terminal: Terminal, flags: ReproduceFlags): Promise<void> {
  const models = flags.models.split(",").map((name) => name.trim());
  for (const model of models)
    if (model !== "bitnet" && model !== "llama")
      throw new OptionError(`There is no model ${JSON.stringify(model)}`, { key: "--models" }, "Use bitnet, llama");
  const { tasks, data: folder, limit, every, ctx, threads, yes, offline } = flags;
  const common = { tasks, limit, every, ctx, threads, yes, offline, textWindow: 2048, seed: 0 } as EvalFlags;
  const data = await readTaskData(terminal, { ...common, ...(folder !== undefined && { data: folder }) });
  await mkdir(flags.out, { recursive: true });
  const text = flags.calibration ?? (await calibrationText(terminal, flags));
  const results: ModelResult[] = [];
  for (const model of models as ("bitnet" | "llama")[])
    results.push(await reproduceModel(terminal, flags, model, common, data, text));
  const table = reportOf(results);
  await writeWhole(join(flags.out, "report.md"), table);
  await writeWhole(
    join(flags.out, "report.json"),
    `${JSON.stringify({ paper: PAPER_FIGURES, setting: PAPER, results }, undefined, 1)}\n`,
  );
  if (flags.json) await terminal.json({ paper: PAPER_FIGURES, setting: PAPER, results });
  else await terminal.write(table);
}

async function reproduceModel(
  terminal: Terminal,
  flags: ReproduceFlags,
  model: "bitnet" | "llama",
  common: EvalFlags,
  data: readonly TaskData[],
  text: string,
): Promise<ModelResult> {
  const source = flags[model];
  const place = (name: string) => join(flags.out, `${model}-${name}`);
  const step = (number: number, what: string) => terminal.note(`${model}, step ${number} of 3: ${what}`);
  await step(1, "full attention");
  const full = await runOnce(terminal, { ...common, model: source, attention: "full", out: place("full.jsonl") }, data);
  const thresholds = place("calibration.json");
  await step(2, "thresholds for 60 % sparsity");
  if (!existsSync(thresholds))
    await writeCalibration(terminal, {
      ...common,
      ...PAPER,
      model: source,
      file: text,
      out: thresholds,
      windows: 2,
      windowTokens: Math.min(2048, flags.ctx ?? 2048),
    });
  await step(3, "delta attention");
  const paper = {
    ...common,
    ...PAPER,
    model: source,
    attention: "delta" as const,
    thresholds,
    out: place("delta.jsonl"),
  };
  const delta = await runOnce(terminal, paper, data);
  const attention = joinRuns(delta.runs)[0]?.attention;
  const summary = (log: EvalLog) => summarise(log.records, { seed: 0 });
  return {
    model,
    source,
    full: summary(full),
    delta: summary(delta),
    comparison: compare(delta, full, { seed: 0 }),
    attentionSparsity: attention?.attentionSparsity ?? null,
    deltaSparsity: attention?.deltaSparsity ?? null,
  };
}

/** A file of its own, so that an interrupted run goes on with the same text. */
async function calibrationText(terminal: Terminal, flags: ReproduceFlags): Promise<string> {
  const file = join(flags.out, "wiki.valid.raw.txt");
  if (!existsSync(file)) await writeWhole(file, await readWikiValidation(terminal, flags));
  return file;
}

async function writeWhole(file: string, text: string): Promise<void> {
  await writeFile(`${file}.part`, text);
  await rename(`${file}.part`, file);
}

/** Measured and printed figures side by side, as Markdown. */
function reportOf(results: readonly ModelResult[]): string {
  const lines = [
    "# Full against delta attention",
    "",
    "Delta attention as in the paper: element grain, raw keys, 60 % delta sparsity, a window of 5 % in blocks.",
    "",
    "| model | measure | full | delta | paper |",
    "|---|---|---|---|---|",
  ];
  const percent = (value: number) => `${(value * 100).toFixed(1)} %`;
  for (const { model, full, delta, attentionSparsity, deltaSparsity } of results) {
    const figures = PAPER_FIGURES[model] ?? {};
    for (const { task, n, measures } of full)
      for (const [name, { value }] of Object.entries(measures)) {
        const other = delta.find((each) => each.task === task)?.measures[name]?.value;
        const paper = figures[`${task} ${name}`] ?? "";
        lines.push(
          `| ${model} | ${task} ${name} (n = ${n}) | ${figure(value)} | ${other === undefined ? "" : figure(other)} | ${paper} |`,
        );
      }
    for (const [name, value] of [
      ["attention sparsity", attentionSparsity],
      ["delta sparsity", deltaSparsity],
    ] as const)
      if (value !== null) lines.push(`| ${model} | ${name} | | ${percent(value)} | ${figures[name] ?? ""} |`);
  }
  return `${lines.join("\n")}\n`;
}

function figure(value: number): string {
  return value.toFixed(4);
}
