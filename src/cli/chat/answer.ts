import { SessionError } from "../../errors.js";
import type { Chat, FinishReason, GenerateOptions, Model, ModelStats, Piece, Speed, Usage } from "../../types.js";
import { attentionJson, printable } from "../format.js";
import { ProgressBar } from "../progress.js";
import type { Terminal } from "../terminal.js";
import { terminalSize } from "./prompt.js";
import { WordWrap } from "./wrap.js";

/** How an answer is written. */
export interface AnswerStyle {
  json?: boolean | undefined;
  /** Figures of every head in the JSON. */
  heads?: boolean | undefined;
  /** Words wrapped and a line about tokens and speed: a person reads. */
  interactive?: boolean | undefined;
}

/**
 * Writes one answer; Ctrl-C ends it, and no piece is written after that.
 * @throws SessionError when there was no room for an answer
 */
export async function writeAnswer(
  terminal: Terminal,
  model: Model,
  ask: (options: GenerateOptions) => ReturnType<Chat["regenerate"]>,
  options: GenerateOptions,
  style: AnswerStyle,
): Promise<void> {
  const tokens: number[] = [];
  let text = "";
  let finishReason = "abort" as FinishReason;
  let usage: Usage | undefined;
  const before = model.stats();
  const bar = new ProgressBar(terminal);
  const wrap = style.interactive ? new WordWrap(() => terminalSize(terminal).columns - 1) : undefined;
  const write = async (piece: Piece): Promise<void> => {
    if (style.json) return;
    if (wrap) await terminal.write(wrap.push(printable(piece.text)));
    else await terminal.modelText(piece.text);
  };
  try {
    await terminal.interruptible(async (signal) => {
      for await (const piece of ask({ ...options, signal, onProgress: (progress) => bar.update(progress) })) {
        bar.clear();
        if (signal.aborted) break;
        if (piece.token >= 0) tokens.push(piece.token);
        finishReason = piece.finishReason ?? finishReason;
        text += piece.text;
        usage = piece.usage ?? usage;
        await write(piece);
      }
      signal.throwIfAborted();
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
      if (style.json) {
        const stats = turnStats(before, model.stats(), style.heads);
        await terminal.json({ text, tokens, finishReason, usage, stats });
      } else if (wrap) {
        await terminal.write(wrap.end());
        if (!wrap.atStart) await terminal.line();
        await terminal.line(terminal.style("dim", footer(before, model.stats(), tokens.length, finishReason)));
      } else await terminal.line(text.endsWith("\n") ? "" : "\n");
    }
  }
}

const ends: Partial<Record<FinishReason, string>> = {
  abort: "stopped",
  length: "cut off at --max-tokens",
  context: "the context is full",
};

function footer(before: ModelStats, now: ModelStats, tokens: number, reason: FinishReason): string {
  const { tokensPerSecond } = turn(before.decode, now.decode);
  const speed = tokensPerSecond > 0 ? [`${tokensPerSecond.toFixed(1)} tokens/s`] : [];
  const end = ends[reason];
  return [
    `${tokens} ${tokens === 1 ? "token" : "tokens"}`,
    ...speed,
    `${now.contextLeft} left`,
    ...(end ? [end] : []),
  ].join(" · ");
}

function turn(old: Speed, all: Speed): Speed {
  const [tokens, ms] = [all.tokens - old.tokens, all.ms - old.ms];
  return { tokens, ms, tokensPerSecond: ms > 0 ? (tokens / ms) * 1000 : 0 };
}

/** Speed of one turn, as JSON; figures of attention only where there is more to say than that it is full. */
function turnStats(before: ModelStats, now: ModelStats, heads: boolean | undefined): object {
  const { attention, ...rest } = now;
  return {
    ...rest,
    prefill: turn(before.prefill, now.prefill),
    decode: turn(before.decode, now.decode),
    attention: attentionJson(attention, heads && attention.kind === "delta"),
  };
}
