import type { SignalOptions, TokenIds } from "./common.js";
import type { TokenLogprob } from "./results.js";

/** Options of `Sampler.sample`. */
export interface SampleOptions extends SignalOptions {
  /** Only these tokens may be chosen. Default: all. */
  allowed?: TokenIds | undefined;
  /** How many of the likeliest tokens to name, at most 100. Default 0. */
  topLogprobs?: number | undefined;
}

/** A token that was chosen. */
export interface Choice extends TokenLogprob {
  /**
   * Natural logarithm of its probability in the model's own distribution, before biases, penalties, temperature and
   * cuts; with `allowed`, among those tokens.
   */
  logprob: number;
  /** The likeliest tokens, likeliest first, in the same distribution. */
  topLogprobs: TokenLogprob[];
}

/** Chooses one token after another, as `generate` does. The same options, seed and logits give the same tokens everywhere. */
export interface Sampler {
  /**
   * Chooses from logits, `[vocab]`, as `prefill` and `step` give them. Takes one number of the random sequence, at
   * temperature 0 none.
   * @param history all tokens so far, prompt included; only penalties look at them. Default: none
   * @throws OptionError for logits of another length or ids the model does not have, KernelError when no logit that may
   * be chosen is a number above −∞; no random number is taken then
   */
  sample(logits: Float32Array, history?: TokenIds, options?: SampleOptions): Promise<Choice>;
  /** Gives the memory back. Any number of calls is fine. */
  dispose(): Promise<void>;
}
