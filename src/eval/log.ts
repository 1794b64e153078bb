import { FormatError } from "../errors.js";
import type { AttentionStats } from "../types.js";
import type { EvalRecord } from "./records.js";
import type { Shard } from "./tasks.js";

/** One task of a run: its data and which examples of it belong to the whole run. */
export interface TaskEntry {
  task: string;
  /** SHA-256 of the data file. */
  sha256: string;
  /** Examples of the whole run, all shards together. */
  n: number;
  /** Rows that were left out between two examples, plus one. */
  every?: number;
}

/** First line of a log: what its numbers depend on. */
export interface LogHeader {
  format: "deltallm-eval";
  version: 1;
  model: { name: string; fingerprint: string };
  /** Options that change numbers. */
  settings: Record<string, unknown>;
  tasks: TaskEntry[];
  shard?: Shard;
}

/** What attention did, without the lists per layer and head. */
export type AttentionSummary = Omit<AttentionStats, "heads">;

/** What attention did while one process added records. */
export interface RunLine {
  examples: number;
  /** Tokens computed. */
  computed: number;
  attention: AttentionSummary;
  /** Tokens and milliseconds; absent in older logs. */
  speed?: Record<"prefill" | "decode", { tokens: number; ms: number }> | undefined;
}

export interface EvalLog {
  header: LogHeader;
  records: EvalRecord[];
  runs: RunLine[];
}

const start = '{"format":"deltallm-eval"';

/** One line of a log. */
export function logLine(value: LogHeader | EvalRecord | { run: RunLine }): string {
  return `${JSON.stringify(value)}\n`;
}

/**
 * Reads a log. A last line without its end is what a killed process leaves behind: it is ignored. Undefined when not
 * even the first line is complete.
 * @throws FormatError when it is not a log, or a complete line is damaged
 */
export function parseLog(text: string, file: string): EvalLog | undefined {
  const end = text.lastIndexOf("\n") + 1;
  if (end === 0) {
    if (!start.startsWith(text.slice(0, start.length))) throw notALog(file);
    return undefined;
  }
  const [first, ...rest] = text.slice(0, end - 1).split("\n") as [string, ...string[]];
  const header = parseLine(first, file, 1) as unknown as LogHeader;
  if (header.format !== "deltallm-eval") throw notALog(file);
  if (header.version !== 1 || !Array.isArray(header.tasks) || !header.model || !header.settings)
    throw new FormatError("This log was written by another version", { file });
  const known = new Set(header.tasks.map(({ task }) => task));
  const records: EvalRecord[] = [];
  const runs: RunLine[] = [];
  rest.forEach((line, i) => {
    const value = parseLine(line, file, i + 2);
    if (typeof value.run === "object" && value.run !== null) runs.push(value.run as RunLine);
    else if (known.has(value.task as string) && Number.isInteger(value.index))
      records.push(value as unknown as EvalRecord);
    else throw new FormatError("This line belongs to no task of the log", { file, key: `line ${i + 2}` });
  });
  return { header, records: withoutDuplicates(records, file), runs };
}

/** Names of what differs between two headers, shards apart. Empty when their records may stand in one log. */
export function headerDifferences(a: LogHeader, b: LogHeader): string[] {
  const differences: string[] = [];
  if (a.model.fingerprint !== b.model.fingerprint)
    differences.push(`model ${a.model.name} ${a.model.fingerprint} ≠ ${b.model.name} ${b.model.fingerprint}`);
  for (const key of new Set([...Object.keys(a.settings), ...Object.keys(b.settings)])) {
    const [left, right] = [a.settings[key], b.settings[key]].map((value) => JSON.stringify(value) ?? "none");
    if (left !== right) differences.push(`${key} ${left} ≠ ${right}`);
  }
  for (const entry of b.tasks) {
    const other = a.tasks.find(({ task }) => task === entry.task);
    if (other && JSON.stringify(other) !== JSON.stringify(entry)) differences.push(`data or rows of ${entry.task}`);
  }
  return differences;
}

/**
 * Records by task and row, each once.
 * @throws FormatError when two records of one example differ
 */
export function withoutDuplicates(records: readonly EvalRecord[], file: string): EvalRecord[] {
  const seen = new Map<string, EvalRecord>();
  for (const record of records) {
    const key = `${record.task} ${record.index}`;
    const earlier = seen.get(key);
    if (earlier && JSON.stringify(earlier) !== JSON.stringify(record))
      throw new FormatError(`Two different results of row ${record.index} of ${record.task}`, { file });
    seen.set(key, record);
  }
  return [...seen.values()];
}

function parseLine(line: string, file: string, number: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  if (number === 1) throw notALog(file);
  throw new FormatError("This line is damaged", { file, key: `line ${number}` }, "Take it out; its example runs again");
}

function notALog(file: string): FormatError {
  return new FormatError("This is not a log of deltallm eval", { file }, "Give another --out");
}
