import type { Progress, SignalOptions, TokenIds } from "./common.js";
import type { GenerateOptions } from "./generate-options.js";
import type { Piece } from "./results.js";

/** Options of `Session.prefill`. */
export interface PrefillOptions {
  /** Logits of every token, not only of the last. Default false. */
  allLogits?: boolean | undefined;
  /** Stops between chunks; the session then holds the tokens done so far. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** A sequence of tokens with its keys and values. */
export interface Session {
  /** Tokens computed so far. */
  readonly length: number;
  /**
   * Appends tokens. Returns the logits of the last one, `[vocab]`, or of all, `[n, vocab]`, with `allLogits`.
   * @throws SessionError when they do not fit the context, or after `dispose`
   */
  prefill(ids: TokenIds, options?: PrefillOptions): Promise<Float32Array>;
  /** Appends one token and returns its logits, `[vocab]`. Aborted before it is computed, the session does not have it. */
  step(id: number, options?: SignalOptions): Promise<Float32Array>;
  /**
   * Appends a prompt, which may be empty where the session is not, and completes it. Afterwards the session holds the
   * prompt and every token that was given out, but for the newest one when the context is full or the reader broke off.
   */
  generate(prompt: string | TokenIds, options?: GenerateOptions): AsyncIterable<Piece>;
  /**
   * Forgets what follows the first `length` tokens. Resolves to the length kept: less than asked for where delta attention
   * has dropped what would be needed again.
   */
  truncate(length: number): Promise<number>;
  /** An independent copy of this session. */
  fork(options?: SignalOptions): Promise<Session>;
  /** The session as bytes, for `Model.restore`. */
  save(options?: SignalOptions): Promise<Uint8Array>;
  /** Gives the memory back. Any number of calls is fine. */
  dispose(): Promise<void>;
}
