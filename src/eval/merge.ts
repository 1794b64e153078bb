import { OptionError } from "../errors.js";
import { type EvalLog, headerDifferences, type LogHeader, type RunLine, withoutDuplicates } from "./log.js";
import type { EvalRecord } from "./records.js";
import { taskNames } from "./tasks.js";

/**
 * Puts the logs of shards, or of different tasks, together. The result does not depend on the order of the logs, and
 * its records are those of one unsharded run.
 * @throws OptionError when models, settings or data differ
 * @throws FormatError when two logs contradict each other
 */
export function mergeLogs(logs: readonly { log: EvalLog; file: string }[]): EvalLog {
  const [first] = logs;
  if (!first) throw new OptionError("There is nothing to merge", {}, "Give the logs of all shards");
  const tasks = new Map<string, LogHeader["tasks"][number]>();
  for (const { log, file } of logs) {
    for (const other of logs) {
      const differences = headerDifferences(other.log.header, log.header);
      if (differences.length)
        throw new OptionError(`These logs do not belong together: ${differences.join("; ")}`, {
          file: `${other.file}, ${file}`,
        });
    }
    for (const entry of log.header.tasks) tasks.set(entry.task, entry);
  }
  const { shard: _, ...header } = first.log.header;
  const records = logs.flatMap(({ log }) => log.records);
  const files = logs.map(({ file }) => file).join(", ");
  return {
    header: { ...header, tasks: [...tasks.values()].sort((a, b) => taskOrder(a.task) - taskOrder(b.task)) },
    records: sortRecords(withoutDuplicates(records, files)),
    runs: joinRuns(logs.flatMap(({ log }) => log.runs)),
  };
}

/** By task, then by row: the order of a run in one go. */
export function sortRecords(records: readonly EvalRecord[]): EvalRecord[] {
  return [...records].sort((a, b) => taskOrder(a.task) - taskOrder(b.task) || a.index - b.index);
}

function taskOrder(task: string): number {
  return (taskNames as readonly string[]).indexOf(task);
}

/** Means of what attention did, weighted by the tokens computed; none or one. */
export function joinRuns(runs: readonly RunLine[]): RunLine[] {
  const sorted = [...runs].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  const [first] = sorted;
  if (!first || sorted.length === 1) return sorted;
  const computed = sorted.reduce((sum, run) => sum + run.computed, 0);
  const mean = (read: (run: RunLine) => number) => {
    const low = Math.min(...sorted.map(read));
    // Equal values stay what they are, to the last bit.
    if (computed === 0 || low === Math.max(...sorted.map(read))) return low;
    return sorted.reduce((sum, run) => sum + read(run) * run.computed, 0) / computed;
  };
  const speed = (work: "prefill" | "decode") => {
    const add = (what: "tokens" | "ms") => sorted.reduce((sum, run) => sum + (run.speed?.[work][what] ?? 0), 0);
    return { tokens: add("tokens"), ms: add("ms") };
  };
  return [
    {
      examples: sorted.reduce((sum, run) => sum + run.examples, 0),
      computed,
      attention: {
        ...first.attention,
        deltaSparsity: mean(({ attention }) => attention.deltaSparsity),
        attentionSparsity: mean(({ attention }) => attention.attentionSparsity),
        skippedMacs: mean(({ attention }) => attention.skippedMacs),
        bytesRead: mean(({ attention }) => attention.bytesRead),
        kvBytes: Math.max(...sorted.map(({ attention }) => attention.kvBytes)),
        kvBytesFull: Math.max(...sorted.map(({ attention }) => attention.kvBytesFull)),
      },
      ...(sorted.every((run) => run.speed) && { speed: { prefill: speed("prefill"), decode: speed("decode") } }),
    },
  ];
}
