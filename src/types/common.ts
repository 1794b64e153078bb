/** Token ids, in any array-like form. */
export type TokenIds = ArrayLike<number>;

/** How far a long step has come. */
export interface Progress {
  /** What is being done. */
  phase: "open" | "download" | "weights" | "prepare" | "prefill";
  /** Part of this phase that is done, 0 … 1. */
  fraction: number;
  /** Bytes handled in this phase so far; 0 where bytes make no sense. */
  bytes: number;
  /** Bytes there are in all, for `download`. */
  totalBytes?: number | undefined;
}

/** Options of calls that take nothing but a signal. */
export interface SignalOptions {
  /** Gives the call up: it rejects with the signal's reason, and everything can be used as before. */
  signal?: AbortSignal | undefined;
}
