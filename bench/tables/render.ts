import { signed, table } from "../report/markdown.js";
import type { Cell, Column, ComparisonTable, EvalTable, Measured, PlainTable, ReferenceTable } from "./measured.js";

/** The Markdown table of one file of `bench/measured`. */
export function renderTable(name: string, measured: Measured): string {
  switch (measured.kind) {
    case "table":
      return plainTable(name, measured);
    case "eval":
      return evalTable(measured);
    case "comparison":
      return comparisonTable(measured);
    case "reference":
      return referenceTable(measured);
    case "sweep":
      throw new Error(`bench/measured/${name}.json is a page of its own, not a table`);
  }
}

function plainTable(name: string, { columns, rows }: PlainTable): string {
  const given = columns.filter(({ ratio }) => !ratio);
  const body = rows.map((cells, i) => {
    if (cells.length !== given.length)
      throw new Error(`bench/measured/${name}.json: row ${i} has ${cells.length} cells, not ${given.length}`);
    const byTitle = new Map(given.map(({ title }, k) => [title, cells[k] as Cell]));
    return columns.map((column) => {
      if (!column.ratio) return show(byTitle.get(column.title) ?? null, column);
      const [above, below] = column.ratio.map((title) => [byTitle.get(title) ?? []].flat().map(Number));
      const ratios = (above ?? []).map((value, k) => value / ((below ?? [])[k] as number));
      const text = show(ratios, column);
      return median(ratios) >= 1 ? text.replace(/^\S+/, "**$&**") : text;
    });
  });
  const left = columns.filter(({ format = "text", ratio }) => format === "text" && !ratio).map(({ title }) => title);
  return table([columns.map(({ title }) => title), ...body], left);
}

function show(cell: Cell, column: Column): string {
  if (cell === null) return "";
  if (typeof cell === "string") return cell;
  const one = (value: number) => format(value, column.format);
  if (typeof cell === "number") return one(cell);
  if (cell.length === 1) return one(cell[0] as number);
  return `${one(median(cell))} (${one(Math.min(...cell))} … ${one(Math.max(...cell))})`;
}

/** Without a format three digits that mean something. */
function format(value: number, how = ""): string {
  const [, sign, digits] = /^([%+]?)(\d*)$/.exec(how) ?? [];
  if (sign === "%") return `${(value * 100).toFixed(Number(digits)).replace("-", "−")} %`;
  if (sign === "+") return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(Number(digits))}`;
  if (digits) return value.toFixed(Number(digits));
  const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return Number(value.toFixed(places)).toLocaleString("en-US", { minimumFractionDigits: places });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? (sorted[half] as number) : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2;
}

const percents = new Set(["acc", "acc_norm"]);

function evalTable({ tasks, reference }: EvalTable): string {
  const rows: string[][] = [["task", "n", "measure", "deltallm", "95 % interval", "reference", "difference"]];
  for (const { task, n, measures } of tasks) {
    let first = true;
    for (const [measure, expected] of Object.entries(reference[task] ?? {})) {
      const { value, ci } = measures[measure] ?? { value: Number.NaN };
      const factor = percents.has(measure) ? 100 : 1;
      const interval = ci ? `${(ci[0] * factor).toFixed(1)} – ${(ci[1] * factor).toFixed(1)}` : "";
      const ours = (value * factor).toFixed(2);
      const theirs = (expected * factor).toFixed(2);
      const difference = signed((value - expected) * factor);
      rows.push([first ? task : "", first ? String(n) : "", measure, ours, interval, theirs, difference]);
      first = false;
    }
  }
  return table(rows, ["task", "measure", "95 % interval"]);
}

function comparisonTable({ comparison }: ComparisonTable): string {
  const rows = [["task", "measure", "full", "delta", "difference", "95 % interval", "p"]];
  for (const { task, measure, value, other, difference, ci, p } of comparison) {
    const factor = percents.has(measure) ? 100 : 1;
    const digits = (x: number) => (x * factor).toFixed(2);
    rows.push([
      task,
      measure,
      digits(other),
      digits(value),
      signed(difference * factor),
      ci ? `${signed(ci[0] * factor)} – ${signed(ci[1] * factor)}` : "",
      p === undefined ? "" : p.toFixed(2),
    ]);
  }
  return table(rows, ["task", "measure", "95 % interval"]);
}

function referenceTable({ rows, tolerance }: ReferenceTable): string {
  const verdict = (difference: number) => (difference > tolerance ? "no" : difference < -tolerance ? "better" : "yes");
  return table(
    [
      ["attention", "sparsity reached", "perplexity", "reference", "difference", `within ±${tolerance}`],
      ...rows.map(({ row, sparsity, perplexity, reference, difference }) => [
        row.replace(/\/(\w+)/, ", $1 basis,").replace("ε 0", "ε = 0"),
        sparsity ? sparsity.toFixed(3) : "",
        perplexity.toFixed(3),
        reference?.toFixed(3) ?? "",
        difference === undefined ? "" : signed(difference),
        difference === undefined ? "" : verdict(difference),
      ]),
    ],
    ["attention", `within ±${tolerance}`],
  );
}
