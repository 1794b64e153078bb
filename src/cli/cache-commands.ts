import type { Command } from "commander";
import type { ListFlags } from "./commands/list.js";
import type { PullFlags } from "./commands/pull.js";
import type { RemoveFlags } from "./commands/remove.js";
import type { Terminal } from "./terminal.js";

/** Adds `pull`, `list` and `remove`: the models of the cache, by name. */
export function addCacheCommands(program: Command, terminal: Terminal): void {
  const pull = program
    .command("pull")
    .description("download a model by its name, or bring it up to date")
    .argument("<name>", "hf:owner/repository[:quant or /file][@revision], a short name, or the URL of a GGUF file")
    .option("--offline", "download nothing: only say what the cache has")
    .option("--yes", "no question (pull never asks)")
    .action(async (name: string, flags: PullFlags) =>
      (await import("./commands/pull.js")).pullModel(terminal, name, flags),
    );
  common(pull, "deltallm pull smollm2-135m", "deltallm pull hf:owner/repository:Q8_0 --json");

  const list = program
    .command("list")
    .description("models of the cache, also those that other programs put there")
    .argument("[name]", "only those of this name")
    .option("--names", "the short names and what they stand for, instead")
    .action(async (name: string | undefined, flags: ListFlags) =>
      (await import("./commands/list.js")).listModels(terminal, name, flags),
    );
  common(list, "deltallm list", "deltallm list --names");

  const remove = program
    .command("remove")
    .description("take a model out of the cache: a repository, one quantisation, one file, or one revision of them")
    .argument("<name>", "as for pull")
    .option("--yes", "no question (remove never asks)")
    .action(async (name: string, flags: RemoveFlags) =>
      (await import("./commands/remove.js")).removeModel(terminal, name, flags),
    );
  common(remove, "deltallm remove hf:owner/repository:Q8_0", "deltallm remove hf:owner/repository");
}

function common(command: Command, ...lines: string[]): void {
  command.option("--json", "one JSON value on stdout").option("--verbose", "stack traces of errors");
  command.addHelpText("after", `\nExamples:\n${lines.map((line) => `  ${line}`).join("\n")}`);
}
