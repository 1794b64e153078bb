import type { CacheDescriptor } from "./descriptor.js";

/** Tokens of one sequence in a forward pass. */
export interface CacheSlice {
  readonly cache: CacheDescriptor;
  /** Position of the first token in its sequence. */
  readonly position: number;
  readonly tokens: number;
  /** What the caller does with them. Says under which name they are counted and changes no bit. */
  readonly work: "prefill" | "decode";
  /** `all`: every token of the slice sees every other (full attention only). Default `causal`. */
  readonly sees?: "causal" | "all" | undefined;
}
