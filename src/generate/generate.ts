import type { ModelTokenizer } from "../tokenizer/tokenizer.js";
import type { GenerateOptions } from "../types/generate-options.js";
import type { FinishReason, Piece, PieceReader } from "../types/results.js";
import type { TokenIds } from "../types.js";
import { type AnswerConstraint, passRanges } from "./constraint.js";
import { samplerFor } from "./model-sampler.js";
import { resolveLimits } from "./options.js";
import { choosePass } from "./pass.js";
import { shiftTokens } from "./prompt.js";
import type { Sampled } from "./sampler.js";
import type { EngineSession, SessionHost } from "./session.js";
import { createSpeculator } from "./speculation.js";
import { createStopMatcher } from "./stop.js";
import { tokenLogprob } from "./token-logprob.js";

/** What became of a generation, for those who go on with its session. */
export interface GenerationEnd {
  /** Tokens chosen, the ending one included; the last of them may not be in the session yet. */
  tokens: number[];
  /** Whether the model ended its text itself: the last of `tokens` says so and was not given out. */
  ended: boolean;
  /** Undefined while it goes on, and when it was broken off. */
  reason: FinishReason | undefined;
}

/** What callers who know more about the session than `generate` can tell it. */
export interface GenerationSetting {
  /** Filled in as the generation goes on. */
  end?: GenerationEnd | undefined;
  /** Tokens of the prompt that the session holds already. Default: all it holds. */
  cachedTokens?: number | undefined;
  /**
   * The context is full: what the session shall hold instead of `tokens` (all so far), or undefined to end. Default: by
   * `contextOverflow`.
   */
  makeRoom?: ((tokens: readonly number[]) => Promise<TokenIds | undefined>) | undefined;
  /** What the answer has to follow, as far as it has come. */
  constraint?: AnswerConstraint | undefined;
  /** What the answer begins with already: the constraint of `options` goes on from there. */
  begun?: string | undefined;
  /** Who reads the pieces, where they are made ahead of it. */
  reader?: PieceReader | undefined;
  /** Compute the last token too, so that the session holds all that was given out. Default false. */
  completeSession?: boolean | undefined;
}

export const noEnd = (): GenerationEnd => ({ tokens: [], ended: false, reason: undefined });

/**
 * Appends `prompt` to the session, then chooses token after token. Ends at a stop token (not emitted), a stop text, the
 * token limit or the end of the context. Breaking off or aborting leaves the session usable.
 */
export async function* generate(
  host: SessionHost,
  tokenizer: ModelTokenizer,
  session: EngineSession,
  prompt: TokenIds,
  options: GenerateOptions = {},
  setting: GenerationSetting = {},
): AsyncGenerator<Piece, void, undefined> {
  const limits = resolveLimits(options);
  const { engine, contextLength } = host;
  const { vocab } = engine.config;
  const { end = noEnd(), cachedTokens = session.length, constraint } = setting;
  const sampler = samplerFor(engine, tokenizer, options, host.sampling);
  const decoder = tokenizer.createDecoder();
  const stops = createStopMatcher(limits.stop);
  const stopIds = new Set(tokenizer.stopIds);
  const { signal } = options;
  // Only the prompt is long enough to be reported.
  let { onProgress } = options;
  const history = [...session.ids, ...Array.from(prompt)];
  const promptTokens = history.length;
  const makeRoom =
    setting.makeRoom ??
    (async (tokens) =>
      options.contextOverflow === "shift" ? shiftTokens(tokens, 1, contextLength, options) : undefined);
  const speculator = createSpeculator(host, options.speculation);
  let written = 0;
  const before = session.cachedTokens;
  let cached: number | undefined;
  /** Tokens of the history that the session had to give up. */
  let dropped = 0;
  /** What the session holds when the newest token is one that more can follow: all but that one. */
  const held = () => promptTokens - dropped + written - 1;

  /** Chooses the next token from logits, as if it were the only one of its pass. */
  const choose = (logits: number): Sampled => {
    const choice = sampler.sample(logits, history, { mask: constraint?.mask(), top: limits.topLogprobs });
    constraint?.advance(choice.id);
    history.push(choice.id);
    return choice;
  };
  /** Whether the next token needs only a part of the head. */
  const isPart = () => constraint !== undefined && engine.headRanges(constraint.mask()) !== undefined;
  const isLast = ({ id }: Sampled, ahead: number) =>
    stopIds.has(id) || constraint?.ended === true || written + ahead >= limits.maxTokens;
  /** Lengths of the session when the pieces were given out. */
  const lengths: number[] = [];
  const brokenOff = () => (setting.reader?.taken() ?? lengths.length) < lengths.length;
  try {
    let next: TokenIds = prompt;
    end.reason = limits.maxTokens === 0 ? "length" : undefined;
    while (!end.reason) {
      if (session.length + next.length > contextLength) {
        // What is dropped now cannot be taken back.
        await setting.reader?.caughtUp();
        if (brokenOff()) return;
        const kept = await makeRoom(history);
        if (!kept) {
          end.reason = "context";
          break;
        }
        next = session.replace(kept);
        dropped = history.length - kept.length;
      }
      const room = Math.min(contextLength - session.length, limits.maxTokens - written) - 1;
      const draft =
        next.length === 1 && speculator && !host.scheduler.busy
          ? speculator.propose(history, room, constraint?.forced() ?? [], isPart())
          : [];
      const start = performance.now();
      const ranges = constraint && passRanges(constraint, draft, (mask) => engine.headRanges(mask));
      const choices = await choosePass(session, next, draft, { signal, onProgress, ranges }, { vocab, choose, isLast });
      if (next.length === 1)
        speculator?.book(draft.length + 1, choices.length, performance.now() - start, ranges?.[0] !== undefined);
      if (choices.length <= draft.length) host.scheduler.unbook("decode", draft.length + 1 - choices.length);
      onProgress = undefined;
      cached ??= cachedTokens + session.cachedTokens - before;
      next = history.slice(-1);
      for (const choice of choices) {
        end.tokens.push(choice.id);
        if (stopIds.has(choice.id)) {
          end.ended = true;
          end.reason = constraint ? "schema" : "stop";
          break;
        }
        written++;
        const { emit, stopped } = stops.push(decoder.push(choice.id));
        if (stopped) end.reason = "stop";
        else if (constraint?.ended && choice === choices.at(-1)) end.reason = "schema";
        else if (written === limits.maxTokens) end.reason = "length";
        const { reason } = end;
        end.reason = undefined; // Not over while the reader can still break off.
        lengths.push(held());
        yield asPiece(tokenizer, emit, choice);
        end.reason = reason;
        if (reason) break;
      }
    }
    if (written > 0 && !end.ended) {
      session.takeBack(held());
      if (setting.completeSession && session.length < contextLength)
        await session.advance([end.tokens.at(-1) as number], { signal }, () => undefined);
    }
    const rest = stops.push(decoder.flush());
    const text = rest.emit + (rest.stopped ? "" : stops.flush().emit);
    if (rest.stopped) end.reason = "stop";
    const usage = { promptTokens, cachedTokens: cached ?? cachedTokens, completionTokens: written };
    lengths.push(session.length);
    yield { text, token: -1, logprob: 0, finishReason: end.reason, usage };
  } finally {
    sampler.dispose();
    if (written > 0 && !end.reason) session.takeBack(held());
    if (brokenOff()) {
      const taken = setting.reader?.taken() ?? 0;
      end.tokens.length = taken;
      end.ended = false;
      end.reason = undefined;
      await takeBack(session, history, lengths[Math.max(taken - 1, 0)] as number);
    }
  }
}

/** Brings the session back to its first `length` tokens. */
async function takeBack(session: EngineSession, history: readonly number[], length: number): Promise<void> {
  if (session.length <= length) return;
  const kept = session.cut(length);
  if (kept < length) await session.advance(history.slice(kept, length), {}, () => undefined);
}

function asPiece(tokenizer: ModelTokenizer, text: string, { id, logprob, top }: Sampled): Piece {
  if (!top) return { text, token: id, logprob };
  return { text, token: id, logprob, topLogprobs: top.map((other) => tokenLogprob(tokenizer, other)) };
}
