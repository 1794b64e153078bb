/** One choice among several texts; each is a context and what follows it. */
export interface ChoiceExample {
  kind: "choice";
  /** Row in the data file, from 0. */
  index: number;
  /** What is scored, one per choice. */
  requests: { context: string; continuation: string }[];
  /** UTF-8 bytes of each choice, for acc_norm; absent where the task has no acc_norm. */
  bytes?: number[] | undefined;
  /** Index of the right choice. */
  gold: number;
}

/** The last word of a passage. */
export interface WordExample {
  kind: "word";
  index: number;
  request: { context: string; continuation: string };
}

/** A question about a paragraph, answered in free text. */
export interface AnswerExample {
  kind: "answer";
  index: number;
  id: string;
  prompt: string;
  golds: string[];
}

/** A window of a longer text. */
export interface WindowExample {
  kind: "window";
  index: number;
  ids: number[];
}

export type Example = ChoiceExample | WordExample | AnswerExample | WindowExample;

/** All tasks, in the order in which they run and are reported. */
export const taskNames = [
  "winogrande",
  "arc_easy",
  "arc_challenge",
  "piqa",
  "openbookqa",
  "boolq",
  "lambada",
  "squad_v2",
  "perplexity",
] as const;
export type TaskName = (typeof taskNames)[number];

/** Files a task's data may be in, first come first served. */
export function dataFiles(task: TaskName): string[] {
  if (task === "squad_v2") return ["squad_v2.json"];
  if (task === "perplexity") return ["wiki.test.raw.txt", "wiki.test.raw"];
  return [`${task}.jsonl`];
}

/** Most tokens of an answer to a SQuAD question. */
export const ANSWER_TOKENS = 32;

/** Which examples of a task are run. */
export interface Selection {
  /** Only the first n. */
  limit?: number | undefined;
  /** Every k-th, beginning with the first; the limit counts what is left. */
  every?: number | undefined;
}

/** Applies `every`, then `limit`. */
export function select<Item>(items: readonly Item[], { limit, every = 1 }: Selection): Item[] {
  return items.filter((_, i) => i % every === 0).slice(0, limit);
}

/** Part `part` (from 1) of `parts`: every parts-th example, so that all parts take about as long. */
export interface Shard {
  part: number;
  parts: number;
}

/** The examples of one part. */
export function shardOf<Item>(items: readonly Item[], shard: Shard | undefined): Item[] {
  return shard ? items.filter((_, i) => i % shard.parts === shard.part - 1) : [...items];
}
