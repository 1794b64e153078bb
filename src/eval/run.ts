import type { Model } from "../types.js";
import { evaluate } from "./evaluate.js";
import type { EvalRecord } from "./records.js";
import { type Example, type Shard, shardOf, type TaskName } from "./tasks.js";

/** Examples of one task, all shards together. */
export interface TaskExamples {
  task: TaskName;
  examples: readonly Example[];
}

/** How far a run is. */
export interface RunProgress {
  task: TaskName;
  /** Examples done and to do, of all tasks of this shard, those of earlier runs included. */
  done: number;
  total: number;
  /** Share of the text that is done in this run, 0 … 1: examples differ in length, so this tells the time better. */
  fraction: number;
}

export interface RunOptions {
  contextLength: number;
  shard?: Shard | undefined;
  /** Records of earlier runs: their examples are left out. */
  earlier?: readonly EvalRecord[] | undefined;
  signal?: AbortSignal | undefined;
  onRecord?: ((record: EvalRecord) => void) | undefined;
  onProgress?: ((progress: RunProgress) => void) | undefined;
}

/** Runs all examples that have no record yet. Returns the new records. */
export async function runTasks(model: Model, tasks: readonly TaskExamples[], options: RunOptions) {
  const { shard, earlier = [], signal, onRecord, onProgress } = options;
  const known = new Set(earlier.map(({ task, index }) => `${task} ${index}`));
  const all = tasks.flatMap(({ task, examples }) => shardOf(examples, shard).map((example) => ({ task, example })));
  const todo = all.filter(({ task, example }) => !known.has(`${task} ${example.index}`));
  const work = todo.reduce((sum, { example }) => sum + workOf(example), 0);
  const records: EvalRecord[] = [];
  let worked = 0;
  for (const { task, example } of todo) {
    signal?.throwIfAborted();
    const done = all.length - todo.length + records.length;
    onProgress?.({ task, done, total: all.length, fraction: worked / work });
    const record = await evaluate(model, task, example, options);
    worked += workOf(example);
    records.push(record);
    onRecord?.(record);
  }
  return records;
}

/** About how long an example takes, in characters of text. */
function workOf(example: Example): number {
  switch (example.kind) {
    case "choice": {
      const [first] = example.requests;
      return example.requests.reduce(
        (sum, { continuation }) => sum + continuation.length + 10,
        first?.context.length ?? 0,
      );
    }
    case "word":
      return example.request.context.length + example.request.continuation.length;
    case "answer":
      // A token that is written takes longer than one that is read.
      return example.prompt.length + 500;
    case "window":
      return example.ids.length * 4;
  }
}
