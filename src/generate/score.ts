import { checkSignal } from "../check-options.js";
import type { ModelTokenizer } from "../tokenizer/tokenizer.js";
import type { ContinuationScore, ScoreOptions, SignalOptions, TokenIds } from "../types.js";
import { readTokenLogprobs } from "./sampler.js";
import { EngineSession, type SessionHost } from "./session.js";

/** Logarithms of the probabilities of `ids[1 …]`, each after all ids before it. */
export async function scoreWindow(host: SessionHost, ids: TokenIds, options: ScoreOptions = {}): Promise<Float32Array> {
  const session = new EngineSession(host);
  try {
    return (await scoreNext(host, session, ids, options)).logprobs;
  } finally {
    await session.dispose();
  }
}

/**
 * How likely each continuation is after the context. The context is computed once.
 * A text continuation is tokenised together with the context; its tokens are those after the context's own.
 */
export async function scoreContinuations(
  host: SessionHost,
  tokenizer: ModelTokenizer,
  context: string | TokenIds,
  continuations: readonly (string | TokenIds)[],
  { signal, onProgress }: ScoreOptions = {},
): Promise<ContinuationScore[]> {
  checkSignal(signal);
  const { addBos } = tokenizer;
  const contextIds = typeof context === "string" ? tokenizer.encode(context, { addBos }) : Array.from(context);
  const base = new EngineSession(host);
  try {
    const results: ContinuationScore[] = [];
    for (const continuation of continuations) {
      let all: ArrayLike<number>;
      if (typeof continuation !== "string") all = [...contextIds, ...Array.from(continuation)];
      else if (typeof context === "string") all = tokenizer.encode(context + continuation, { addBos });
      else all = [...contextIds, ...tokenizer.encode(continuation)];
      results.push(await scoreAfter(host, base, { all: Array.from(all), from: contextIds.length }, { signal }));
      onProgress?.({ phase: "prefill", fraction: results.length / continuations.length, bytes: 0 });
    }
    return results;
  } finally {
    await base.dispose();
  }
}

/** Scores `all[from …]`, reusing what `base` already holds of `all[… from − 1]`. */
async function scoreAfter(
  host: SessionHost,
  base: EngineSession,
  { all, from }: { all: number[]; from: number },
  options: SignalOptions,
): Promise<ContinuationScore> {
  // The token before the first scored one is computed with the continuation: its logits are needed each time.
  const shared = Math.max(0, from - 1);
  const missing = base.replace(all.slice(0, shared + 1)).slice(0, -1);
  if (missing.length > 0) await base.advance(missing, options, () => undefined);
  const session = await base.fork();
  try {
    const { logprobs, greedy } = await scoreNext(host, session, all.slice(shared), options);
    return { logprob: logprobs.reduce((sum, value) => sum + value, 0), logprobs, greedy };
  } finally {
    await session.dispose();
  }
}

/** Appends `ids` and scores `ids[1 …]`. */
async function scoreNext(
  host: SessionHost,
  session: EngineSession,
  ids: TokenIds,
  options: ScoreOptions = {},
): Promise<{ logprobs: Float32Array; greedy: boolean }> {
  const { engine } = host;
  const logprobs = new Float32Array(Math.max(0, ids.length - 1));
  let greedy = true;
  await session.advanceAll(ids, options, (logits, tokens, done) => {
    const scored = Math.min(tokens, ids.length - 1 - done);
    const targets = Array.from({ length: scored }, (_, i) => ids[done + i + 1] as number);
    const result = readTokenLogprobs(engine.kernels, engine.memory, logits, engine.config.vocab, targets);
    logprobs.set(result.logprobs, done);
    greedy &&= result.greedy;
  });
  return { logprobs, greedy };
}
