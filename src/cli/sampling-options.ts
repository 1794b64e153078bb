import { type Command, InvalidArgumentError, Option } from "commander";
import { samplingDefaults } from "../generate/sampling-options.js";
import type { GenerateOptions } from "../types.js";
import { number, whole } from "./numbers.js";

/** Options of `generate` and `chat` that few ask for, as commander gives them. */
export interface MoreSamplingFlags {
  typicalP?: number;
  repeatWindow?: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  dryMultiplier?: number;
  dryBase?: number;
  dryAllowedLength?: number;
  dryWindow?: number;
  dryBreaker?: string[];
  logitBias?: Record<number, number>;
  logprobs?: number;
  contextOverflow?: "error" | "stop" | "shift";
  speculation?: "auto" | "on" | "off";
}

/** Adds them. */
export function addMoreSampling(command: Command): Command {
  const { repetitionWindow, dryBase, dryAllowedLength } = samplingDefaults;
  const add = (flag: string, text: string, parse: (text: string) => number) =>
    command.addOption(new Option(flag, text).argParser(parse));
  command.addOption(
    new Option(
      "--context-overflow <what>",
      "a full context: error, stop there, or shift: drop the oldest part (default: error; in chat: shift)",
    ).choices(["error", "stop", "shift"]),
  );
  command.addOption(
    new Option("--speculation <when>", "verify several tokens at once; never changes a result (default: off)").choices([
      "auto",
      "on",
      "off",
    ]),
  );
  add("--typical-p <p>", "only tokens about as surprising as usual, together of probability p (default: 1)", number);
  add(
    "--repeat-window <n>",
    `how many of the newest tokens penalties look at (default: ${repetitionWindow})`,
    whole(0),
  );
  add("--presence-penalty <x>", "taken from logits of recent tokens (default: 0)", number);
  add("--frequency-penalty <x>", "the same as many times as they occurred (default: 0)", number);
  add("--dry-multiplier <x>", "penalty of tokens that lengthen a repetition; 0: off (default: 0)", number);
  add("--dry-base <x>", `how it grows with the repetition (default: ${dryBase})`, number);
  add("--dry-allowed-length <n>", `shorter repetitions are free (default: ${dryAllowedLength})`, whole(1));
  add("--dry-window <n>", "how many of the newest tokens it looks at; 0: all (default: 0)", whole(0));
  return command
    .addOption(
      new Option(
        "--dry-breaker <text>",
        'no repetition goes on over this; several times (default: newline : " *)',
      ).argParser((text: string, earlier: string[] = []) => [...earlier, text]),
    )
    .addOption(
      new Option("--logit-bias <id=x>", "added to the logit of a token, -inf: never; several times").argParser(bias),
    )
    .addOption(new Option("--logprobs <n>", "the n likeliest tokens with each token, with --json").argParser(whole(0)));
}

/** The generation options among them. */
export function moreSampling(flags: MoreSamplingFlags): GenerateOptions {
  const options: GenerateOptions = {
    typicalP: flags.typicalP,
    repetitionWindow: flags.repeatWindow,
    presencePenalty: flags.presencePenalty,
    frequencyPenalty: flags.frequencyPenalty,
    dryMultiplier: flags.dryMultiplier,
    dryBase: flags.dryBase,
    dryAllowedLength: flags.dryAllowedLength,
    dryWindow: flags.dryWindow,
    drySequenceBreakers: flags.dryBreaker,
    logitBias: flags.logitBias,
    topLogprobs: flags.logprobs,
    contextOverflow: flags.contextOverflow,
    speculation:
      flags.speculation === undefined || flags.speculation === "auto" ? flags.speculation : flags.speculation === "on",
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function bias(text: string, earlier: Record<number, number> = {}): Record<number, number> {
  const [, id, value] = /^(\d+)=(.+)$/.exec(text) ?? [];
  if (id === undefined || value === undefined) throw new InvalidArgumentError("It must be like 42=-1.5.");
  return { ...earlier, [Number(id)]: value === "-inf" ? Number.NEGATIVE_INFINITY : number(value) };
}
