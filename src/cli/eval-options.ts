import { type Command, InvalidArgumentError, Option } from "commander";
import { type Shard, type TaskName, taskNames } from "../eval/tasks.js";
import { parseAxis, type Sweep } from "./eval-sweep.js";
import { type ModelFlags, whole } from "./options.js";

/** Most examples of a task: for all tasks, and for single ones. */
export type Limits = Partial<Record<TaskName | "all", number>>;

/** Options of `eval merge`, and of `eval` too. */
export interface ReportFlags {
  json?: boolean;
  out?: string;
  compare?: string;
  seed: number;
}

export interface EvalFlags extends ModelFlags, ReportFlags {
  tasks?: TaskName[];
  /** Another way to write `tasks`. */
  task?: TaskName[];
  data?: string;
  text?: string;
  textWindow: number;
  limit?: Limits;
  every?: number;
  shard?: Shard;
  sweep?: Sweep;
}

/** Adds what only `eval` has. */
export function addEvalOptions(command: Command): Command {
  command
    .optionsGroup("What to evaluate:")
    .addOption(
      new Option(
        "--tasks <names>",
        `separated by commas: ${taskNames.join(", ")} (default: all whose data are there)`,
      ).argParser(parseTasks),
    )
    .addOption(new Option("--task <names>", "the same").argParser(parseTasks).hideHelp())
    .option(
      "--data <folder>",
      "the data: <task>.jsonl, squad_v2.json, wiki.test.raw.txt (default: from the hub, for the tasks named)",
    )
    .option("--text <file>", "the text for perplexity, instead of the one in --data")
    .addOption(
      new Option("--text-window <n>", "perplexity: tokens per window; the first of each is not scored")
        .argParser(whole(2))
        .default(2048),
    )
    .addOption(
      new Option("--limit <n>", "only the first n examples of each task; single tasks: 300,boolq=150").argParser(
        parseLimits,
      ),
    )
    .addOption(new Option("--every <k>", "squad_v2: only every k-th question").argParser(whole(1)))
    .addOption(new Option("--shard <i/n>", "only part i of n; join the logs with eval merge").argParser(parseShard))
    .addOption(
      new Option(
        "--sweep <axis=values>",
        "full attention, then delta attention with every combination: --sweep grain=element,chunk --sweep sparsity=0.3,0.6; prints Markdown; --out is a folder",
      ).argParser(parseAxis),
    )
    .addOption(
      new Option("--ctx <n>", "longest context, in tokens (default: the model's, at most 8192)").argParser(whole(2)),
    );
  return addReportOptions(command, "log of every example, one JSON object per line; a run that was cut off goes on");
}

/** Adds what `eval` and `eval merge` share. */
export function addReportOptions(command: Command, out: string): Command {
  return command
    .optionsGroup("Results:")
    .option("--out <file>", out)
    .option("--compare <log>", "compare with this log, example by example")
    .addOption(new Option("--seed <n>", "of the resampling behind intervals").argParser(whole(0)).default(0));
}

/** A parser for names of tasks; `-` and `_` mean the same. */
export function parseTasks(text: string): TaskName[] {
  const names = text.split(",").map((name) => name.trim().toLowerCase().replaceAll("-", "_"));
  const unknown = names.find((name) => !(taskNames as readonly string[]).includes(name));
  if (unknown !== undefined) throw new InvalidArgumentError(`"${unknown}" is none of ${taskNames.join(", ")}.`);
  return taskNames.filter((name) => names.includes(name));
}

/** A parser for `300` and `300,boolq=150`. */
export function parseLimits(text: string): Limits {
  const limits: Limits = {};
  for (const part of text.split(",")) {
    const [name, value] = part.includes("=") ? part.split("=", 2) : ["all", part];
    if (name !== "all" && !(taskNames as readonly string[]).includes(name as string))
      throw new InvalidArgumentError(`"${name}" is none of ${taskNames.join(", ")}.`);
    limits[name as TaskName] = whole(1)(value as string);
  }
  return limits;
}

function parseShard(text: string): Shard {
  const [, part, parts] = (/^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? []).map(Number);
  if (!part || !parts || part > parts) throw new InvalidArgumentError("It must be like 2/4: part 2 of 4.");
  return { part, parts };
}
