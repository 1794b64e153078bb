import { createInterface } from "node:readline/promises";
import { SessionError } from "../../errors.js";
import { resolveLimits } from "../../generate/options.js";
import { resolveSampling } from "../../generate/sampling-options.js";
import type { Chat, FinishReason, GenerateOptions, Model, ModelStats, Speed, Usage } from "../../types.js";
import { constraintOptions } from "../constraint.js";
import { attentionJson, formatStats } from "../format.js";
import { loadOptions, withModel } from "../model.js";
import { generateOptions, type SamplingFlags } from "../options.js";
import { ProgressBar } from "../progress.js";
import { Interrupted, type Terminal } from "../terminal.js";

/** `chat`: a conversation in the terminal, or one message per line of stdin. */
export async function chat(terminal: Terminal, flags: SamplingFlags & { system?: string }): Promise<void> {
  const options = { ...generateOptions(flags), ...(await constraintOptions(terminal, flags)) };
  resolveLimits(options);
  // One seed for the whole conversation, so that --stats can name it.
  options.seed = resolveSampling(options).seed;
  let shifted = false;
  options.onContextShift = ({ note }) => {
    if (!shifted) void terminal.note(note);
    shifted = true;
  };
  await withModel(terminal, flags.model, await loadOptions(terminal, flags), async (model) => {
    const conversation = model.createChat({ system: flags.system });
    const interactive = terminal.host.stdin.isTTY === true && !flags.json;
    try {
      if (flags.model === "embedded")
        await terminal.note(
          "This is the story model in the package: it tells children's stories and follows no instructions. " +
            "-m names a model to talk to, for example: deltallm chat -m smollm2-135m",
        );
      if (interactive) await terminal.note("Ctrl-C stops an answer, Ctrl-D ends the chat.");
      for await (const message of interactive ? askUser(terminal) : linesOfInput(terminal)) {
        if (message.trim() === "") continue;
        try {
          await answer(terminal, model, conversation, message, options, flags);
        } catch (error) {
          if (!(interactive && error instanceof Interrupted)) throw error;
        }
      }
    } finally {
      await conversation.dispose();
      if (flags.stats) await terminal.note(formatStats(model.stats(), [["seed", String(options.seed)]]));
    }
  });
}

async function answer(
  terminal: Terminal,
  model: Model,
  conversation: Chat,
  message: string,
  options: GenerateOptions,
  flags: SamplingFlags,
): Promise<void> {
  const tokens: number[] = [];
  let text = "";
  let finishReason = "abort" as FinishReason;
  let usage: Usage | undefined;
  const before = model.stats();
  const bar = new ProgressBar(terminal);
  try {
    await terminal.interruptible(async (signal) => {
      const pieces = conversation.send(message, { ...options, signal, onProgress: (progress) => bar.update(progress) });
      for await (const piece of pieces) {
        bar.clear();
        if (piece.token >= 0) tokens.push(piece.token);
        finishReason = piece.finishReason ?? finishReason;
        text += piece.text;
        usage = piece.usage ?? usage;
        if (!flags.json) await terminal.modelText(piece.text);
      }
    });
    if (finishReason === "context" && tokens.length === 0)
      throw new SessionError(
        "Nothing was answered: the context is full",
        {},
        "Use a larger --ctx or --context-overflow shift",
      );
  } finally {
    bar.clear();
    if (!terminal.signal.aborted) {
      if (flags.json) {
        const stats = turnStats(before, model.stats(), flags.stats);
        await terminal.json({ text, tokens, finishReason, usage, stats });
      } else await terminal.line(text.endsWith("\n") ? "" : "\n");
    }
  }
}

/** Speed of one turn, as JSON; figures of attention only where there is more to say than that it is full. */
function turnStats(before: ModelStats, now: ModelStats, heads: boolean | undefined): object {
  const turn = (old: Speed, all: Speed): Speed => {
    const [tokens, ms] = [all.tokens - old.tokens, all.ms - old.ms];
    return { tokens, ms, tokensPerSecond: ms > 0 ? (tokens / ms) * 1000 : 0 };
  };
  const { attention, ...rest } = now;
  return {
    ...rest,
    prefill: turn(before.prefill, now.prefill),
    decode: turn(before.decode, now.decode),
    attention: attentionJson(attention, heads && attention.kind === "delta"),
  };
}

/** Messages typed at a prompt; ends with Ctrl-D. A fresh reader per message leaves the terminal alone while answering. */
async function* askUser(terminal: Terminal): AsyncGenerator<string> {
  const { stdin, stdout } = terminal.host;
  let history: string[] = [];
  while (true) {
    const reader = createInterface({ input: stdin, output: stdout, terminal: true, history });
    reader.on("history", (lines: string[]) => {
      history = lines;
    });
    let message: string | undefined;
    try {
      message = await new Promise<string | undefined>((resolve, reject) => {
        reader.once("SIGINT", () => reject(new Interrupted("Interrupted")));
        reader.once("close", () => resolve(undefined));
        reader.question(terminal.style("bold", "> ")).then(resolve, reject);
      });
    } finally {
      reader.close();
    }
    if (message === undefined) return await terminal.line();
    yield message;
  }
}

async function* linesOfInput(terminal: Terminal): AsyncGenerator<string> {
  const reader = createInterface({ input: terminal.host.stdin, crlfDelay: Number.POSITIVE_INFINITY });
  try {
    yield* reader;
  } finally {
    reader.close();
  }
}
