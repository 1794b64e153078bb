import { type Command, Option } from "commander";
import { samplingDefaults } from "../generate/sampling-options.js";
import type { GenerateOptions } from "../types/generate-options.js";
import { number, whole } from "./numbers.js";
import { addMoreSampling, type MoreSamplingFlags, moreSampling } from "./sampling-options.js";

export { number, whole } from "./numbers.js";

/** Options of every command that runs a model, as commander gives them. */
export interface ModelFlags {
  model: string;
  ctx?: number;
  threads?: number;
  kernel?: "simd" | "relaxed";
  kvCache?: "int8" | "f32";
  head?: "f16" | "q8" | "q6" | "q4";
  prefillChunk?: number;
  attention?: "full" | "delta";
  grain?: "element" | "chunk" | "row";
  basis?: "raw" | "score";
  threshold?: number;
  sparsity?: number;
  thresholds?: string;
  windowScale?: number;
  window?: number;
  windowShape?: "sliding" | "block";
  sink?: number;
  valueCutoff?: number;
  select?: number | "off";
  preset?: "exact" | "fast" | "small";
  yes?: boolean;
  offline?: boolean;
  json?: boolean;
  stats?: boolean;
  verbose?: boolean;
}

/** Options of the commands that write text. */
export interface SamplingFlags extends ModelFlags, MoreSamplingFlags {
  maxTokens?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  repeatPenalty?: number;
  seed?: number;
  stop?: string[];
  schema?: string;
  grammar?: string;
  regex?: string;
}

/** Adds `-m`, `--json` and `--verbose`. */
export function addModelSource(command: Command): Command {
  return command
    .option(
      "-m, --model <source>",
      "name (hf:owner/repository[:quant or /file][@revision], smollm2-135m …), GGUF file, Hugging Face folder, or URL; embedded: the story model in the package",
      "embedded",
    )
    .option("--yes", "download a model that is not in the cache without a question")
    .option("--offline", "download nothing: use what the cache has")
    .option("--json", "one JSON object on stdout")
    .option("--verbose", "stack traces of errors");
}

/** Adds the options of every command that runs a model. */
export function addRunOptions(command: Command): Command {
  command
    .optionsGroup("How to run it:")
    .addOption(new Option("--threads <n>", "threads that compute (default: by the machine)").argParser(whole(1)))
    .addOption(
      new Option("--kernel <build>", "build of the kernels; both give the same bits (default: the fastest)").choices([
        "simd",
        "relaxed",
      ]),
    )
    .addOption(new Option("--kv-cache <type>", "how keys and values are kept (default: int8)").choices(["int8", "f32"]))
    .addOption(
      new Option("--head <type>", "how the output head is kept (default: as the file has it)").choices([
        "f16",
        "q8",
        "q6",
        "q4",
      ]),
    )
    .addOption(
      new Option("--prefill-chunk <n>", "tokens computed together in prefill; never changes a result").argParser(
        whole(1),
      ),
    );
  addAttentionOptions(command);
  return command.addHelpText("after", () =>
    command.options.some(({ hidden }) => hidden)
      ? "\nAttention has more options (selection, delta attention, grain, windows): --help-all lists them."
      : "",
  );
}

/** What `--help` shows of attention. */
const brief = ["--preset", "--thresholds"];

/** Options of attention: many, and needed by few. `--help` leaves most of them out. */
function addAttentionOptions(command: Command): void {
  const before = command.options.length;
  command
    .optionsGroup("Attention:")
    .addOption(
      new Option(
        "--preset <name>",
        "for long contexts: fast (less time), small (less memory too) or exact (default: nothing left out); see --thresholds",
      ).choices(["exact", "fast", "small"]),
    )
    .addOption(
      new Option(
        "--select <slope>",
        "read far keys in full only where they can matter: 0.0025 (careful) to 0.04 (fast), or off (default)",
      ).argParser((text: string) => (text === "off" ? text : number(text))),
    )
    .addOption(new Option("--attention <kind>", "(default: full)").choices(["full", "delta"]))
    .addOption(
      new Option(
        "--grain <grain>",
        "what one threshold test covers (default: that of --thresholds, else element)",
      ).choices(["element", "chunk", "row"]),
    )
    .addOption(
      new Option(
        "--basis <basis>",
        "basis in which keys are compared (default: that of --thresholds, else raw)",
      ).choices(["raw", "score"]),
    )
    .addOption(new Option("--threshold <θ>", "one threshold for all layers").argParser(number))
    .addOption(
      new Option("--sparsity <s>", "delta: share of differences to drop, 0 … 1; needs --thresholds").argParser(number),
    )
    .option("--thresholds <file>", "what `deltallm calibrate` measured on this model; embedded brings its own")
    .addOption(
      new Option("--window-scale <w>", "local window as a share of the length (default: 0.05)").argParser(number),
    )
    .addOption(new Option("--window <n>", "smallest local window, in tokens (default: 64)").argParser(whole(0)))
    .addOption(new Option("--window-shape <shape>", "(default: sliding)").choices(["sliding", "block"]))
    .addOption(new Option("--sink <n>", "first tokens that are always kept whole (default: 4)").argParser(whole(0)))
    .addOption(
      new Option(
        "--value-cutoff <ε>",
        "skip values weighing less than this share of the largest (default: 0)",
      ).argParser(number),
    );
  for (const option of command.options.slice(before)) option.hidden = !brief.includes(option.long as string);
}

/** Adds the options of `generate` and `chat`. */
export function addSamplingOptions(command: Command): Command {
  const { temperature, topK, topP, minP, repetitionPenalty } = samplingDefaults;
  command
    .optionsGroup("What to write:")
    .addOption(
      new Option("-n, --max-tokens <n>", "most tokens to write (default: until the model ends)").argParser(whole(0)),
    )
    .addOption(
      new Option("--temperature <t>", `0 always takes the likeliest token (default: ${temperature})`).argParser(number),
    )
    .addOption(new Option("--top-k <k>", `only the k likeliest tokens; 0: all (default: ${topK})`).argParser(whole(0)))
    .addOption(
      new Option("--top-p <p>", `only the likeliest tokens that reach probability p (default: ${topP})`).argParser(
        number,
      ),
    )
    .addOption(
      new Option("--min-p <p>", `only tokens this fraction as likely as the likeliest (default: ${minP})`).argParser(
        number,
      ),
    )
    .addOption(
      new Option("--repeat-penalty <x>", `divides logits of recent tokens (default: ${repetitionPenalty})`).argParser(
        number,
      ),
    )
    .addOption(new Option("--seed <n>", "the same seed writes the same text (default: random)").argParser(whole(0)))
    .addOption(
      new Option("--stop <text>", "end before this text; may be given several times").argParser(
        (text: string, earlier: string[] = []) => [...earlier, text],
      ),
    )
    .option("--schema <file>", "answer with JSON that this JSON Schema describes")
    .option("--grammar <file>", "answer with what this grammar (GBNF) describes")
    .option("--regex <expression>", "answer with what this expression matches as a whole")
    .addOption(
      new Option("--ctx <n>", "longest context, in tokens (default: the model's, at most 8192)").argParser(whole(1)),
    )
    .option("--stats", "speed, memory and attention on stderr at the end");
  return addMoreSampling(command.optionsGroup("How to choose tokens, and when the context is full:"));
}

/** The generation options among the flags. */
export function generateOptions(flags: SamplingFlags): GenerateOptions {
  return {
    maxTokens: flags.maxTokens,
    temperature: flags.temperature,
    topK: flags.topK,
    topP: flags.topP,
    minP: flags.minP,
    repetitionPenalty: flags.repeatPenalty,
    seed: flags.seed,
    stop: flags.stop,
    ...moreSampling(flags),
  };
}

/** Options of the library that have other names on the command line. */
export const flagNames: Readonly<Record<string, string>> = {
  topK: "--top-k",
  topP: "--top-p",
  minP: "--min-p",
  typicalP: "--typical-p",
  repetitionPenalty: "--repeat-penalty",
  presencePenalty: "--presence-penalty",
  frequencyPenalty: "--frequency-penalty",
  maxTokens: "--max-tokens",
  contextLength: "--ctx",
  contextOverflow: "--context-overflow",
  repetitionWindow: "--repeat-window",
  dryMultiplier: "--dry-multiplier",
  dryBase: "--dry-base",
  dryAllowedLength: "--dry-allowed-length",
  dryWindow: "--dry-window",
  drySequenceBreakers: "--dry-breaker",
  logitBias: "--logit-bias",
  topLogprobs: "--logprobs",
  kvCache: "--kv-cache",
  prefillChunk: "--prefill-chunk",
  targetSparsity: "--sparsity",
  windowScale: "--window-scale",
  windowShape: "--window-shape",
  valueCutoff: "--value-cutoff",
  windowTokens: "--window-tokens",
  calibration: "--thresholds",
  kind: "--attention",
};
const sameNames = [
  "temperature",
  "seed",
  "stop",
  "threads",
  "kernel",
  "head",
  "grain",
  "basis",
  "threshold",
  "window",
  "sink",
];

/** A message of the library in the words of the command line: `topP` is `--top-p` here, `attention.calibration` `--thresholds`. */
export function inFlags(message: string): string {
  return message
    .replace(/\battention\.(\w+)/g, (_, name: string) => flagNames[name] ?? `--${name}`)
    .replace(/(?<![\w./-])([a-z]+[A-Z]\w*)\b/g, (whole, name: string) => flagNames[name] ?? whole)
    .replace(/(?<=\()([a-z]+)(?=\))/g, (name) => (sameNames.includes(name) ? `--${name}` : name));
}
