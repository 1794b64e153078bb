import type { Speed } from "../types.js";

type Work = "prefill" | "decode";

/** Adds up tokens and time of the two kinds of work. */
export class SpeedMeter {
  readonly #sums: Record<Work, { tokens: number; ms: number }> = {
    prefill: { tokens: 0, ms: 0 },
    decode: { tokens: 0, ms: 0 },
  };

  /** Passes of the engine, and the sequences they computed something of. */
  readonly passes = { count: 0, sequences: 0 };

  /** Counts a pass. */
  pass(sequences: number): void {
    this.passes.count++;
    this.passes.sequences += sequences;
  }

  add(work: Work, tokens: number, ms: number): void {
    this.#sums[work].tokens += tokens;
    this.#sums[work].ms += ms;
  }

  get(work: Work): Speed {
    const { tokens, ms } = this.#sums[work];
    return { tokens, ms, tokensPerSecond: ms > 0 ? (tokens / ms) * 1000 : 0 };
  }

  reset(): void {
    for (const sum of Object.values(this.#sums)) sum.tokens = sum.ms = 0;
    this.passes.count = this.passes.sequences = 0;
  }
}
