/**
 * How the next token is chosen from the logits. Every field may be left out; the defaults are those the model's file
 * suggests (`model.file.sampling`), else the ones named here. The steps, in this order: `logitBias`; `repetitionPenalty`; `presencePenalty` and `frequencyPenalty`; DRY; what a
 * constraint forbids; `temperature`; `topK`; `typicalP`; `topP`; `minP`; one random number. Each cut looks at what the
 * one before it left.
 */
export interface SamplingOptions {
  /** Divisor of the logits, ≥ 0. 0 always takes the likeliest token (ties: the lowest id). Default 0.8. */
  temperature?: number | undefined;
  /** Only the `topK` likeliest tokens may be chosen; 0 means all. Default 40. */
  topK?: number | undefined;
  /** Only the likeliest tokens that together reach this probability, in (0, 1]; 1 means all. Default 0.95. */
  topP?: number | undefined;
  /** Only tokens at least this fraction as likely as the likeliest one, in [0, 1]; 0 means all. Default 0.05. */
  minP?: number | undefined;
  /**
   * Only the tokens whose surprise is nearest to the average surprise, as many as together reach this probability, in
   * (0, 1]; 1 means all. Default 1. (Meister et al. 2022, "Locally typical sampling")
   */
  typicalP?: number | undefined;
  /**
   * Logits of tokens among the last `repetitionWindow` are divided by this (multiplied where negative), > 0; 1 means
   * no penalty. Default 1. (Keskar et al. 2019, "CTRL")
   */
  repetitionPenalty?: number | undefined;
  /** Taken from the logit of every token among the last `repetitionWindow`, −100 … 100. Default 0. */
  presencePenalty?: number | undefined;
  /** Taken from the logit of a token as many times as it stands among the last `repetitionWindow`, −100 … 100. Default 0. */
  frequencyPenalty?: number | undefined;
  /** How many of the newest tokens, prompt included, these three penalties look at. Default 64. */
  repetitionWindow?: number | undefined;
  /**
   * DRY: a token that would lengthen a repetition of L ≥ `dryAllowedLength` tokens loses `dryMultiplier` ·
   * `dryBase`^(L − `dryAllowedLength`). 0: off; 0.8 is usual. Default 0.
   */
  dryMultiplier?: number | undefined;
  /** ≥ 1. Default 1.75. */
  dryBase?: number | undefined;
  /** Repetitions of fewer tokens are free, ≥ 1. Default 2. */
  dryAllowedLength?: number | undefined;
  /** How many of the newest tokens DRY looks at; 0 means all. Default 0. */
  dryWindow?: number | undefined;
  /** No repetition goes on over a token with one of these texts in it. Default: newline, `:`, `"` and `*`. */
  drySequenceBreakers?: readonly string[] | undefined;
  /** Added to the logits, by token id. −Infinity: the token is never chosen. Default: nothing. */
  logitBias?: Readonly<Record<number, number>> | undefined;
  /** Start of the random sequence, an integer in 0 … 2⁵³ − 1. The same seed gives the same tokens everywhere. Default: a random one. */
  seed?: number | undefined;
}
