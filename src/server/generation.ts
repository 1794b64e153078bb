import type { ChatMessage, FinishReason, GenerateOptions, Model, Piece, TokenIds, ToolCall, Usage } from "../types.js";

/** One piece of one of the answers asked for. */
export interface ChoicePiece {
  /** Which of the `n` answers. */
  choice: number;
  piece: Piece;
  /** Tokens of this answer so far, this piece's included. */
  tokens: number;
}

/** What is known of an answer, up to date while it is written. */
export interface Answer {
  text: string;
  pieces: Piece[];
  tokens: number;
  toolCalls: ToolCall[];
  finishReason: FinishReason | undefined;
  usage: Usage | undefined;
}

/** The answers to one request, and how long they took. */
export class Generation {
  readonly answers: Answer[];
  readonly seed: number;
  /** What belongs to the first tokens, so many, is left out of the answers. */
  skipped = 0;
  readonly #n: number;
  readonly #started = performance.now();
  #first: number | undefined;
  #last = this.#started;

  /**
   * @param n answers to each prompt
   * @param prompts how many prompts there are
   */
  constructor(n: number, seed: number | undefined, prompts = 1) {
    this.#n = n;
    this.answers = Array.from({ length: prompts * n }, () => ({
      text: "",
      pieces: [],
      tokens: 0,
      toolCalls: [],
      finishReason: undefined,
      usage: undefined,
    }));
    this.seed = seed ?? randomSeed();
  }

  /**
   * Writes all answers at once, the i-th to a prompt with seed + i, and hands out their pieces in turn: the order is the
   * same every time. Nothing is computed that is not asked for, but for one token of each: who does not read stops the
   * writing.
   * @param keep collect the pieces, for log-probabilities
   */
  async *run(
    model: Model,
    prompts: readonly (string | TokenIds | readonly ChatMessage[])[],
    options: GenerateOptions,
    { keep }: { keep: boolean },
  ): AsyncGenerator<ChoicePiece, void, undefined> {
    const sources = this.answers.map((_, choice) => {
      const prompt = prompts[Math.floor(choice / this.#n)] as (typeof prompts)[number];
      const seed = (this.seed + (choice % this.#n)) % Number.MAX_SAFE_INTEGER;
      // Each with a signal of its own: many listeners at one would be taken for a leak.
      const signal = options.signal && AbortSignal.any([options.signal]);
      return model.generate(prompt, { ...options, seed, signal })[Symbol.asyncIterator]();
    });
    const ask = (source: AsyncIterator<Piece>) => {
      const next = source.next();
      // Looked at when its turn comes; until then a failure must not count as one that nobody handles.
      next.catch(() => undefined);
      return next;
    };
    const turns = new Map(sources.map((source, choice) => [choice, ask(source)]));
    try {
      while (turns.size > 0)
        for (const [choice, turn] of turns) {
          const { done, value } = await turn;
          if (done) {
            turns.delete(choice);
            continue;
          }
          turns.set(choice, ask(sources[choice] as AsyncIterator<Piece>));
          const answer = this.answers[choice] as Answer;
          this.#take(answer, value, keep);
          yield { choice, piece: value, tokens: answer.tokens };
        }
    } finally {
      // What still runs was aborted or is unwanted.
      await Promise.all(sources.map((source) => source.return?.().catch(() => undefined)));
    }
  }

  /** Tokens of the prompts (each computed once for all its answers) and of all answers. */
  get usage(): Usage {
    const usage: Usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };
    for (let first = 0; first < this.answers.length; first += this.#n) {
      const same = this.answers.slice(first, first + this.#n);
      const known = same.flatMap((answer) => (answer.usage ? [answer.usage] : []));
      usage.promptTokens += known[0]?.promptTokens ?? 0;
      usage.cachedTokens += known.length ? Math.min(...known.map(({ cachedTokens }) => cachedTokens)) : 0;
      usage.completionTokens += same.reduce((sum, { tokens }) => sum + tokens, 0);
    }
    return usage;
  }

  /** Speeds, in llama-server's words. */
  get timings() {
    const { promptTokens, cachedTokens, completionTokens } = this.usage;
    const promptMs = (this.#first ?? this.#last) - this.#started;
    const predictedMs = this.#last - (this.#first ?? this.#last);
    const computed = promptTokens - cachedTokens;
    return {
      cache_n: cachedTokens,
      prompt_n: computed,
      prompt_ms: promptMs,
      prompt_per_second: perSecond(computed, promptMs),
      predicted_n: completionTokens,
      predicted_ms: predictedMs,
      predicted_per_second: perSecond(completionTokens, predictedMs),
    };
  }

  #take(answer: Answer, piece: Piece, keep: boolean): void {
    this.#last = performance.now();
    this.#first ??= this.#last;
    if (piece.token >= 0) answer.tokens++;
    if (answer.tokens > this.skipped || piece.finishReason) {
      answer.text += piece.text;
      if (keep && piece.token >= 0) answer.pieces.push(piece);
      if (piece.toolCallDelta) addToolCall(answer.toolCalls, piece.toolCallDelta);
    }
    if (piece.finishReason) answer.finishReason = piece.finishReason;
    if (piece.usage) {
      answer.usage = piece.usage;
      answer.tokens = Math.max(answer.tokens, piece.usage.completionTokens);
    }
  }
}

function addToolCall(calls: ToolCall[], delta: NonNullable<Piece["toolCallDelta"]>): void {
  calls[delta.index] ??= { id: "", name: "", arguments: "" };
  const call = calls[delta.index] as ToolCall;
  call.id += delta.id ?? "";
  call.name += delta.name ?? "";
  call.arguments += delta.arguments ?? "";
}

/** OpenAI's word for why an answer ended. */
export function finishReason(reason: FinishReason | undefined): "stop" | "length" | "tool_calls" {
  if (reason === "tool") return "tool_calls";
  return reason === "length" || reason === "context" ? "length" : "stop";
}

/** A usage as OpenAI writes it. */
export function usageJson({ promptTokens, cachedTokens, completionTokens }: Usage) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

function perSecond(tokens: number, ms: number): number {
  return ms > 0 ? (tokens * 1000) / ms : 0;
}

/** Seeds that are whole numbers in JSON everywhere. */
function randomSeed(): number {
  return (crypto.getRandomValues(new Uint32Array(1))[0] as number) >>> 1;
}
