import { checkSignal } from "../check-signal.js";
import { OptionError, SessionError } from "../errors.js";
import type { SuggestedSampling } from "../formats/suggested-sampling.js";
import type { Engine } from "../model/engine.js";
import type { ModelTokenizer } from "../tokenizer/tokenizer.js";
import type { Choice, Sampler as PublicSampler, SampleOptions } from "../types/sampler.js";
import type { SamplingOptions } from "../types/sampling-options.js";
import type { TokenIds } from "../types.js";
import { checkVocabularyIds } from "./check-ids.js";
import { resolveLimits } from "./options.js";
import { createSampler, type Sampled, type Sampler } from "./sampler.js";
import { resolveSampling } from "./sampling-options.js";
import { sequenceBreakers } from "./sequence-breakers.js";
import { tokenLogprob } from "./token-logprob.js";

/** What a sampler needs of its model. */
export interface SamplerHost {
  readonly engine: Engine;
  readonly tokenizer: ModelTokenizer;
  readonly sampling: SuggestedSampling | undefined;
}

/** The sampler of `generate`, for logits that are in an array. */
export class ModelSampler implements PublicSampler {
  readonly #host: SamplerHost;
  readonly #sampler: Sampler;
  /** Where the logits are put. */
  #logits: number;

  /** @throws OptionError for options that cannot be used; MemoryError */
  constructor(host: SamplerHost, options: SamplingOptions = {}) {
    this.#host = host;
    const { engine, tokenizer } = host;
    this.#sampler = samplerFor(engine, tokenizer, options, host.sampling);
    try {
      this.#logits = engine.memory.alloc(engine.config.vocab * 4, "sampling");
    } catch (error) {
      this.#sampler.dispose();
      throw error;
    }
  }

  async sample(logits: Float32Array, history: TokenIds = [], options: SampleOptions = {}): Promise<Choice> {
    const { engine, tokenizer } = this.#host;
    const { vocab } = engine.config;
    const { allowed, topLogprobs: top = 0, signal } = options;
    if (this.#logits === 0) throw new SessionError("This sampler has been disposed of", {}, "Create a new one");
    checkSignal(signal);
    resolveLimits({ topLogprobs: top });
    signal?.throwIfAborted();
    if (!(logits instanceof Float32Array) || logits.length !== vocab)
      throw new OptionError(
        "These are not the logits of one token",
        { key: "logits" },
        `Give a Float32Array of ${vocab} numbers; of \`allLogits\` one row`,
      );
    checkVocabularyIds(history, vocab, "history");
    engine.memory.f32(this.#logits, vocab).set(logits);
    const mask = allowed && maskOf(allowed, vocab);
    const choice = this.#choose(history, { mask, top });
    return {
      ...tokenLogprob(tokenizer, choice),
      topLogprobs: (choice.top ?? []).map((other) => tokenLogprob(tokenizer, other)),
    };
  }

  #choose(history: TokenIds, options: { mask: Uint32Array | undefined; top: number }): Sampled {
    const { state } = this.#sampler;
    try {
      return this.#sampler.sample(this.#logits, history, options);
    } catch (error) {
      this.#sampler.restore(state);
      throw error;
    }
  }

  async dispose(): Promise<void> {
    if (this.#logits === 0) return;
    this.#sampler.dispose();
    this.#host.engine.memory.free(this.#logits);
    this.#logits = 0;
  }
}

/** The sampler of one generation. */
export function samplerFor(
  { kernels, memory, config }: Engine,
  tokenizer: ModelTokenizer,
  options: SamplingOptions,
  suggested: SuggestedSampling | undefined,
): Sampler {
  const sampling = resolveSampling(options, suggested);
  const { dryMultiplier, drySequenceBreakers } = sampling;
  const breakers = dryMultiplier > 0 ? sequenceBreakers(tokenizer, config.vocab, drySequenceBreakers) : undefined;
  return createSampler(kernels, memory, config.vocab, sampling, breakers);
}

function maskOf(allowed: TokenIds, vocab: number): Uint32Array {
  checkVocabularyIds(allowed, vocab, "allowed");
  if (allowed.length === 0)
    throw new OptionError("No token is allowed", { key: "allowed" }, "Give at least one id, or leave allowed out");
  const mask = new Uint32Array(Math.ceil(vocab / 32));
  for (let i = 0; i < allowed.length; i++) {
    const id = allowed[i] as number;
    mask[id >>> 5] = (mask[id >>> 5] as number) | (1 << (id & 31));
  }
  return mask;
}
