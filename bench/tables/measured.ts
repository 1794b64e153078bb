import type { Comparison } from "#src/eval/compare.js";
import type { TaskSummary } from "#src/eval/summary.js";
import type { SweepSummary } from "#src/eval/sweep.js";

/** What every file of `bench/measured` says about itself. */
interface Common {
  /** When, with what and on what: date, commit, runtime, machine, what else was running. */
  measured: string;
  /** Command lines that measure it again. */
  commands: string[];
}

/** A column of a table of figures. Cells are texts, numbers, lists of samples, or null for nothing. */
export interface Column {
  title: string;
  /**
   * `text`; `2`: so many digits after the point; `%1`: a share as per cent with so many digits; `+2`: with its sign. Samples
   * become `median (least … most)`. Default `text`.
   */
  format?: string;
  /** Two titles of columns with samples: this one has the ratio of the first to the second, sample by sample. */
  ratio?: [string, string];
}

export type Cell = string | number | number[] | null;

/** Figures as they are, row by row; cells of `ratio` columns are left out. */
export interface PlainTable extends Common {
  kind: "table";
  columns: Column[];
  rows: Cell[][];
}

/** What `deltallm eval --json` prints, beside a reference's figures for the same rows (as in the eval set's golden file). */
export interface EvalTable extends Common {
  kind: "eval";
  tasks: TaskSummary[];
  /** By task and measure; accuracies as fractions. */
  reference: Record<string, Record<string, number>>;
}

/** What `deltallm eval --json --compare` adds. */
export interface ComparisonTable extends Common {
  kind: "comparison";
  comparison: Comparison[];
}

/** What `npm run reference-table -- --json` prints. */
export interface ReferenceTable extends Common {
  kind: "reference";
  tolerance: number;
  windows: number;
  rows: { row: string; sparsity: number; perplexity: number; reference?: number; difference?: number }[];
}

/** A page of its own: `deltallm eval --sweep`. */
export interface SweepPage extends Common {
  kind: "sweep";
  /** Name of the model, for people. */
  name: string;
  note: string;
  sweeps: SweepSummary[];
  /** Of the same settings on one long text: sparsities, bytes and memory are taken from these. */
  stats: SweepSummary[];
}

export type Measured = PlainTable | EvalTable | ComparisonTable | ReferenceTable | SweepPage;
