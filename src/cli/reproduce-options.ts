import { type Command, Option } from "commander";
import type { ReproduceFlags } from "./commands/reproduce.js";
import { parseLimits, parseTasks } from "./eval-options.js";
import { whole } from "./options.js";
import type { Terminal } from "./terminal.js";

/** Adds `reproduce`: the paper's comparison in one command. */
export function addReproduce(program: Command, terminal: Terminal): void {
  program
    .command("reproduce")
    .description("the DeltaLLM paper's comparison: full against delta attention on its two models, beside its figures")
    .addOption(new Option("--models <names>", "separated by commas: bitnet, llama").default("bitnet,llama"))
    .option("--bitnet <name>", "another copy of BitNet-b1.58-2B-4T", "hf:microsoft/bitnet-b1.58-2B-4T-gguf")
    .option("--llama <name>", "another copy of Llama-3.2-1B-Instruct", "hf:meta-llama/Llama-3.2-1B-Instruct")
    .addOption(new Option("--tasks <names>", "as for eval").argParser(parseTasks).default(["squad_v2"], "squad_v2"))
    .option("--data <folder>", "local data, as for eval (default: from the hub)")
    .option("--calibration <file>", "text to calibrate on (default: the validation part of WikiText-2, from the hub)")
    .addOption(new Option("--limit <n>", "only the first n examples of each task").argParser(parseLimits))
    .addOption(new Option("--every <k>", "squad_v2: only every k-th question").argParser(whole(1)))
    .addOption(
      new Option("--ctx <n>", "longest context, in tokens (default: the model's, at most 8192)").argParser(whole(2)),
    )
    .addOption(new Option("--threads <n>", "threads that compute (default: by the machine)").argParser(whole(1)))
    .option("--out <folder>", "logs, calibrations and the report; the same command goes on where it was", "reproduce")
    .option("--yes", "download what is missing without a question")
    .option("--offline", "download nothing")
    .option("--json", "one JSON object on stdout")
    .option("--verbose", "stack traces of errors")
    .action(async (flags: ReproduceFlags) => (await import("./commands/reproduce.js")).reproduce(terminal, flags))
    .addHelpText(
      "after",
      "\nExamples:\n  deltallm reproduce --every 27\n  deltallm reproduce --models llama --tasks squad_v2,winogrande --json",
    );
}
