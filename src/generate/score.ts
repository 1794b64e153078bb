import { checkSignal } from "../check-signal.js";
import { OptionError } from "../errors.js";
import type { ModelTokenizer } from "../tokenizer/tokenizer.js";
import type { ContinuationScore, ScoreOptions, TokenIds } from "../types.js";
import { checkIds } from "./check-ids.js";
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

/** Continuations that are scored at the same time, so that they share passes. */
const AT_ONCE = 8;

/**
 * How likely each continuation is after the context, or after its own. What contexts begin with alike is computed once.
 * A text continuation is tokenised together with a context that is a text; its tokens are those after the context's own.
 */
export async function scoreContinuations(
  host: SessionHost,
  tokenizer: ModelTokenizer,
  context: string | TokenIds | readonly TokenIds[],
  continuations: readonly (string | TokenIds)[],
  { signal, onProgress }: ScoreOptions = {},
): Promise<ContinuationScore[]> {
  checkSignal(signal);
  const { addBos } = tokenizer;
  const textIds = typeof context === "string" ? tokenizer.encode(context, { addBos }) : undefined;
  const each = typeof context !== "string" && typeof context[0] === "object";
  if (each && context.length !== continuations.length)
    throw new OptionError(`${context.length} contexts for ${continuations.length} continuations`, { key: "context" });
  /** A context's tokens and those of its continuation. */
  const joined = (continuation: string | TokenIds, index: number): { ids: number[]; start: number } => {
    const before = Array.from(textIds ?? ((each ? context[index] : context) as TokenIds));
    const ids =
      typeof continuation !== "string"
        ? [...before, ...Array.from(continuation)]
        : textIds
          ? Array.from(tokenizer.encode(context + continuation, { addBos }))
          : [...before, ...tokenizer.encode(continuation)];
    return { ids, start: before.length };
  };
  const base = new EngineSession(host);
  const results: ContinuationScore[] = [];
  try {
    while (results.length < continuations.length) {
      const done = results.length;
      const forks: { session: EngineSession; own: number[] }[] = [];
      try {
        for (const [i, continuation] of continuations.slice(done, done + AT_ONCE).entries()) {
          const { ids, start } = joined(continuation, done + i);
          // The token before the first scored one is computed with the continuation: its logits are needed each time.
          const shared = Math.max(0, start - 1);
          const missing = base.replace(ids.slice(0, shared + 1)).slice(0, -1);
          if (missing.length > 0) await base.advance(missing, { signal }, () => undefined);
          forks.push({ session: await base.fork(), own: ids.slice(shared) });
        }
        const scores = forks.map(({ session, own }) => scoreNext(host, session, own, { signal }));
        for (const { logprobs, greedy } of await Promise.all(scores))
          results.push({ logprob: logprobs.reduce((sum, value) => sum + value, 0), logprobs, greedy });
      } finally {
        await Promise.all(forks.map(({ session }) => session.dispose()));
      }
      onProgress?.({ phase: "prefill", fraction: results.length / continuations.length, bytes: 0 });
    }
    return results;
  } finally {
    await base.dispose();
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
  checkIds(ids, engine.config.vocab, session.length, host.contextLength);
  const logprobs = new Float32Array(ids.length - 1);
  let greedy = true;
  // What would follow the last one is not asked for.
  const given = Array.from(ids).slice(0, -1);
  if (given.length === 0) return { logprobs, greedy };
  await session.advanceAll(given, options, (logits, tokens, done) => {
    const targets = Array.from({ length: tokens }, (_, i) => ids[done + i + 1] as number);
    const result = readTokenLogprobs(engine.kernels, engine.memory, logits, engine.config.vocab, targets);
    logprobs.set(result.logprobs, done);
    greedy &&= result.greedy;
  });
  return { logprobs, greedy };
}
