import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import { addCacheCommands } from "./cache-commands.js";
import type { BenchFlags } from "./commands/bench.js";
import type { CalibrateFlags } from "./commands/calibrate.js";
import type { ChatFlags } from "./commands/chat.js";
import type { EmbedFlags } from "./commands/embed.js";
import { generate as completeText } from "./commands/generate.js";
import type { InspectFlags } from "./commands/inspect.js";
import type { ScoreFlags } from "./commands/score.js";
import type { ServeFlags } from "./commands/serve.js";
import type { TokenizeFlags } from "./commands/tokenize.js";
import type { VerifyFlags } from "./commands/verify.js";
import { addEvalOptions, addReportOptions, type EvalFlags, type ReportFlags } from "./eval-options.js";
import {
  addModelSource,
  addRunOptions,
  addSamplingOptions,
  type ModelFlags,
  number,
  type SamplingFlags,
  whole,
} from "./options.js";
import { addReproduce } from "./reproduce-options.js";
import type { Terminal } from "./terminal.js";

/** Tells the caller that a command ran well and the answer is no. */
export type SetExitCode = (code: number) => void;

/** All commands. The code of each but the first is imported when it is called. */
export function createProgram(terminal: Terminal, setExitCode: SetExitCode): Command {
  const program = new Command("deltallm")
    .description("Runs BitNet b1.58 and Llama-family language models on the CPU.")
    .version(version(), "-V, --version")
    // A part of a command may have options of the same name as the command itself.
    .enablePositionalOptions()
    .showHelpAfterError("(--help shows the options)")
    .addHelpText(
      "after",
      `
Exit codes: 0 done; 1 verify found other numbers; 2 wrong options or unusable input; 3 failed while running; 130 Ctrl-C.
NO_COLOR turns colours off; DEBUG=1 or --verbose shows stack traces.`,
    );

  const generate = program
    .command("generate")
    .description("complete a text; without [prompt] it is read from stdin")
    .argument("[prompt]", "text to complete; -: stdin")
    .action((prompt: string | undefined, flags: SamplingFlags) => completeText(terminal, prompt, flags));
  addRunOptions(addSamplingOptions(addModelSource(generate)));
  examples(
    generate,
    'deltallm generate "Once upon a time" -n 200 --seed 7',
    "echo The capital of France is | deltallm generate -m model.gguf --temperature 0 -n 5 --json",
  );

  const chat = program
    .command("chat")
    .description("a conversation; with piped stdin, every line is a message")
    .option("--system <text>", "what the model is told first")
    .option("--resume <name>", "go on with a chat kept by /save")
    .option("--no-history", "do not remember what is typed for the next run")
    .action(async (flags: ChatFlags) => (await import("./commands/chat.js")).chat(terminal, flags));
  addRunOptions(addSamplingOptions(addModelSource(chat)));
  examples(chat, 'deltallm chat -m model.gguf --system "Answer in one sentence."');

  const serve = program
    .command("serve")
    .description("an OpenAI-compatible server and a chat page")
    .addOption(
      new Option(
        "-m, --model <source>",
        "as for chat, or NAME=SOURCE; several may be given, the first is the default",
      ).argParser((source: string, earlier: string[] | undefined) => [...(earlier ?? []), source]),
    )
    .option("--json", "address and models as one JSON object on stdout")
    .option("--verbose", "stack traces of errors")
    .option("--system <text>", "what the model is told first where a conversation does not say")
    .optionsGroup("Where to listen:")
    .option("--host <address>", "address to listen on; others than this machine's own need keys", "127.0.0.1")
    .addOption(new Option("--port <n>", "0 takes a free one").argParser(whole(0)).default(8080))
    .option("--api-key-file <file>", "API keys, one per line")
    .option("--no-auth", "no API key although other machines can reach the server")
    .option("--cors <origin>", "pages of this origin may call the server; *: all; several may be given", collect)
    .option("--allowed-host <name>", "name the server is called by, besides localhost; several may be given", collect)
    .option("--no-page", "no chat page")
    .optionsGroup("How much at once:")
    .addOption(new Option("--parallel <n>", "answers computed at once").argParser(whole(1)).default(16))
    .addOption(new Option("--queue <n>", "requests that may wait; one more is refused").argParser(whole(0)).default(64))
    .addOption(new Option("--per-key <n>", "requests of one API key at once (default: no limit)").argParser(whole(1)))
    .addOption(new Option("--timeout <s>", "seconds a request may take").argParser(whole(1)).default(600))
    .addOption(new Option("--max-loaded <n>", "models in memory at once").argParser(whole(1)).default(1))
    .addOption(
      new Option(
        "--unload-after <s>",
        "seconds without a request until a model is unloaded (default: never)",
      ).argParser(whole(1)),
    )
    .addOption(
      new Option(
        "--prefix-cache <MiB>",
        "for beginnings that later requests may share (default: one full context, at most 256)",
      ).argParser(whole(0)),
    )
    .addOption(
      new Option("--log <form>", "a line per request on stderr").choices(["text", "json", "none"]).default("text"),
    )
    .option("--log-prompts", "prompts and answers too, with --log json")
    .action(async (flags: ServeFlags) =>
      (await import("./commands/serve.js")).serveModels(terminal, { ...flags, model: flags.model ?? ["embedded"] }),
    );
  addRunOptions(addSamplingOptions(serve));
  examples(
    serve,
    "deltallm serve -m model.gguf",
    "deltallm serve -m small=a.gguf -m large=b.gguf --max-loaded 2 --host 0.0.0.0 --api-key-file keys.txt",
  );

  const tokenize = program
    .command("tokenize")
    .description("text to token ids; on a terminal with the pieces they stand for")
    .argument("[text]", "the text; the same as --text")
    .option("--text <text>", "the text")
    .option("--file <file>", "a file with the text; -: stdin")
    .option("--no-special", "special tokens written out in the text are plain text")
    .action(async (text: string | undefined, flags: TokenizeFlags) =>
      (await import("./commands/tokenize.js")).tokenize(terminal, text, flags),
    );
  addModelSource(tokenize);
  examples(tokenize, 'deltallm tokenize "Hello, world"', "deltallm tokenize -m model.gguf --file text.txt --json");

  const logits = program
    .command("logits")
    .description("raw numbers: little-endian f32 [n, vocab], all positions")
    .addOption(new Option("--ids <ids>", "token ids, separated by commas").argParser(tokenIds).makeOptionMandatory())
    .requiredOption("--out <file>", "where the numbers go; -: stdout")
    .addOption(new Option("--ctx <n>", "longest context, in tokens (default: as many as ids)").argParser(whole(1)))
    .action(async (flags: ModelFlags & { ids: number[]; out: string }) =>
      (await import("./commands/logits.js")).logits(terminal, flags),
    );
  addRunOptions(addModelSource(logits));
  examples(logits, "deltallm logits -m model.gguf --ids 1,15043,3186 --out logits.f32");

  const score = program
    .command("score")
    .description("likelihood of a text, in windows that do not overlap")
    .option("--file <file>", "the text; -: stdin")
    .addOption(
      new Option(
        "--ctx <n>",
        "tokens per window; the first of each is not scored (default: 2048, or the model's context)",
      ).argParser(whole(2)),
    )
    .addOption(new Option("--windows <n>", "only the first n windows").argParser(whole(1)))
    .option("--stats", "speed, memory and attention on stderr at the end")
    .action(async (flags: ScoreFlags) => (await import("./commands/score.js")).score(terminal, flags));
  addRunOptions(addModelSource(score));
  examples(score, "deltallm score -m model.gguf --file wiki.test.raw --ctx 2048 --json");

  const embed = program
    .command("embed")
    .description("texts to vectors of length 1")
    .argument("[texts...]", "the texts; without any, one per line of --file or stdin")
    .option("--file <file>", "a text per line; -: stdin")
    .addOption(
      new Option(
        "--pooling <how>",
        "which tokens' vectors count (default: as the model's file says, else last)",
      ).choices(["mean", "cls", "last"]),
    )
    .addOption(new Option("--ctx <n>", "longest text, in tokens").argParser(whole(1)))
    .action(async (texts: string[], flags: EmbedFlags) =>
      (await import("./commands/embed.js")).embed(terminal, texts, flags),
    );
  addRunOptions(addModelSource(embed));
  examples(embed, "deltallm embed -m qwen3-embedding.gguf --file lines.txt --json");

  const verify = program
    .command("verify")
    .description("hash over the bits of the logits of a fixed prompt; compares it with the published one")
    .option("--expect <hash>", "compare with this hash instead")
    .action(async (flags: VerifyFlags) => {
      const { verify } = await import("./commands/verify.js");
      if (!(await verify(terminal, flags))) setExitCode(1);
    });
  addRunOptions(addModelSource(verify));
  examples(verify, "deltallm verify", "deltallm verify -m model.gguf --threads 1 --kernel simd --json");

  const evaluate = program
    .command("eval")
    .description("task scores: WinoGrande, ARC, PIQA, OpenBookQA, BoolQ, LAMBADA, SQuAD v2, perplexity")
    .action(async (flags: EvalFlags) => (await import("./commands/eval.js")).evaluateModel(terminal, flags));
  addRunOptions(addEvalOptions(addModelSource(evaluate)));
  examples(
    evaluate,
    "deltallm eval -m model.gguf --data data --tasks piqa,arc_easy --limit 300 --out full.jsonl",
    "deltallm eval -m model.gguf --data data --attention delta --threshold 0.5 --compare full.jsonl",
    "deltallm eval -m model.gguf --data data --thresholds cal.json --sweep grain=element,chunk --sweep sparsity=0.3,0.6 --out sweep",
    "deltallm eval merge part1.jsonl part2.jsonl --out all.jsonl",
  );
  const merge = evaluate
    .command("merge")
    .description("join the logs of shards or of different tasks")
    .argument("<logs...>", "written by eval --out")
    .option("--json", "one JSON object on stdout")
    .option("--verbose", "stack traces of errors")
    .action(async (logs: string[], flags: ReportFlags) =>
      (await import("./commands/eval-merge.js")).mergeEvaluations(terminal, logs, flags),
    );
  addReportOptions(merge, "where the joined log goes");

  addCacheCommands(program, terminal);
  addReproduce(program, terminal);

  const inspect = program
    .command("inspect")
    .description("what is in a GGUF or safetensors file")
    .argument("[source]", "name, file, folder or URL; the same as --model")
    .option("--tensors", "list the tensors too")
    .action(async (source: string | undefined, flags: InspectFlags) =>
      (await import("./commands/inspect.js")).inspect(terminal, source, flags),
    );
  addModelSource(inspect);
  examples(inspect, "deltallm inspect model.gguf", "deltallm inspect https://example.org/model.gguf --json");

  const calibrate = program
    .command("calibrate")
    .description("measures on a text what --preset, --select and delta attention need to know of a model")
    .requiredOption("--file <file>", "text to calibrate on; - for stdin")
    .requiredOption("--out <file>", "JSON file to write, for --thresholds")
    .addOption(new Option("--windows <n>", "windows of the text that are used").argParser(whole(1)))
    .addOption(
      new Option(
        "--window-tokens <n>",
        "tokens of a window (default: the context of the model, at most 8192): as long as what is to be served",
      ).argParser(whole(256)),
    )
    .action(async (flags: CalibrateFlags) => (await import("./commands/calibrate.js")).calibrate(terminal, flags));
  addRunOptions(addModelSource(calibrate));
  examples(
    calibrate,
    "deltallm calibrate -m model.gguf --file text.txt --out model.json",
    "deltallm chat -m model.gguf --preset fast --thresholds model.json",
  );

  const bench = program
    .command("bench")
    .description("speed of a model, or of a shape with random weights")
    .addOption(
      new Option("--shape <shape>", "random weights in this shape instead of a model").choices([
        "bitnet-2b",
        "bitnet-tiny",
        "llama-1b",
        "smollm2",
      ]),
    )
    .addOption(
      new Option(
        "--ffn-zeros <share>",
        "share of zero gates in the random weights, 0.5 to 0.95 (bitnet-2b, bitnet-tiny)",
      ).argParser(number),
    )
    .addOption(new Option("-p, --prompt <n>", "prompt tokens").argParser(whole(0)).default(128))
    .addOption(new Option("-n, --new-tokens <n>", "new tokens").argParser(whole(0)).default(32))
    .addOption(new Option("-d, --depth <n>", "tokens already in the context").argParser(whole(0)).default(0))
    .addOption(new Option("--ctx <n>", "longest context, in tokens (default: what is needed)").argParser(whole(1)))
    .option("--profile", "where the time goes, by operation")
    .action(async (flags: BenchFlags) => (await import("./commands/bench.js")).bench(terminal, flags));
  addRunOptions(addModelSource(bench));
  examples(bench, "deltallm bench --shape bitnet-2b -p 128 -n 32 --threads 1 --json");
  return program;
}

function collect(value: string, earlier: string[] = []): string[] {
  return [...earlier, value];
}

function examples(command: Command, ...lines: string[]): void {
  command.addHelpText("after", `\nExamples:\n${lines.map((line) => `  ${line}`).join("\n")}`);
}

function tokenIds(text: string): number[] {
  const ids = text.split(",").map((part) => part.trim());
  if (!ids.every((id) => /^\d{1,9}$/.test(id))) throw new InvalidArgumentError("They must be numbers: 1,2,3");
  return ids.map(Number);
}

function version(): string {
  return JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")).version;
}
