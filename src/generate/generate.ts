import type { ModelTokenizer } from "../tokenizer/tokenizer.js";
import type { Piece, TokenIds } from "../types.js";
import type { GenerateOptions } from "./options.js";
import { resolveLimits, resolveSampling } from "./options.js";
import { createSampler } from "./sampler.js";
import type { EngineSession, SessionHost } from "./session.js";
import { createStopMatcher } from "./stop.js";

/** What became of a generation, for those who go on with its session. */
export interface GenerationEnd {
  /** Tokens chosen, the ending one included; the last of them is not in the session yet. */
  tokens: number[];
  /** Whether the model ended its text itself. */
  ended: boolean;
}

/**
 * Appends `prompt` to the session, then chooses token after token. Ends at a stop token (not emitted), a stop text, the
 * token limit or the end of the context. Breaking off or aborting leaves the session usable.
 * @param end filled in as the generation goes on
 */
export async function* generate(
  host: SessionHost,
  tokenizer: ModelTokenizer,
  session: EngineSession,
  prompt: TokenIds,
  options: GenerateOptions = {},
  end: GenerationEnd = { tokens: [], ended: false },
): AsyncGenerator<Piece, void, undefined> {
  const limits = resolveLimits(options);
  const { engine } = host;
  const sampler = createSampler(engine.kernels, engine.memory, engine.config.vocab, resolveSampling(options));
  const decoder = tokenizer.createDecoder();
  const stops = createStopMatcher(limits.stop);
  const stopIds = new Set(tokenizer.stopIds);
  const { signal } = options;
  // Only the prompt is long enough to be reported.
  let { onProgress } = options;
  const room = host.contextLength - session.length - prompt.length;
  const most = Math.min(limits.maxTokens, room + 1);
  try {
    let next: TokenIds = prompt;
    while (end.tokens.length < most) {
      const choice = await session.advance(next, { signal, onProgress }, (logits) =>
        sampler.sample(logits, session.ids),
      );
      onProgress = undefined;
      end.tokens.push(choice.id);
      if (stopIds.has(choice.id)) {
        end.ended = true;
        break;
      }
      const { emit, stopped } = stops.push(decoder.push(choice.id));
      yield { text: emit, token: choice.id, logprob: choice.logprob };
      if (stopped) return;
      next = [choice.id];
    }
    const rest = stops.push(decoder.flush());
    const text = rest.emit + (rest.stopped ? "" : stops.flush().emit);
    if (text) yield { text, token: -1, logprob: 0 };
  } finally {
    sampler.dispose();
  }
}
