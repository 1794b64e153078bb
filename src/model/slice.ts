/**
 * Consecutive tokens of one sequence in a forward pass. A pass is a list of slices; their tokens are its rows, in the
 * order of the slices.
 * @typeParam Cache how the sequence's keys and values are named: the cache itself, or what a thread knows of it
 */
export interface Slice<Cache> {
  cache: Cache;
  /** Of the first token in its sequence: the length of the cache. */
  position: number;
  tokens: number;
  /** What the work is booked as in statistics; never changes a result. */
  work: "prefill" | "decode";
  /** The tokens whose logits are asked for. */
  want: "none" | "last" | "all";
  /** `all`: the tokens see each other, the later ones too; the slice is then the whole sequence. Default `causal`. */
  sees?: "causal" | "all" | undefined;
  /** For each wanted row the tokens whose logits are computed, see `HeadRanges`. Default: all of all rows. */
  ranges?: readonly (HeadRanges | undefined)[] | undefined;
}

/**
 * Ranges of the vocabulary (first, end, first, end …) whose logits are computed; those of other tokens are left as they
 * are in memory. None where only one token can be chosen anyway. Undefined: the whole vocabulary.
 */
export type HeadRanges = readonly number[];

/** The next `tokens` tokens of a cache. */
export function nextSlice<Cache extends { length: number }>(
  cache: Cache,
  tokens: number,
  want: Slice<Cache>["want"],
  work: Slice<Cache>["work"] = tokens === 1 ? "decode" : "prefill",
): Slice<Cache> {
  return { cache, position: cache.length, tokens, work, want };
}

/** The same slice of a sequence that is named otherwise. Every token makes two: its fields one by one, which is quickest. */
export function renamed<Cache>(slice: Slice<unknown>, cache: Cache): Slice<Cache> {
  const { position, tokens, work, want, sees, ranges } = slice;
  return { cache, position, tokens, work, want, sees, ranges };
}

/** Rows of a pass. */
export function rowsOf(slices: readonly Slice<unknown>[]): number {
  return slices.reduce((sum, { tokens }) => sum + tokens, 0);
}

/** How many tokens of a slice have their logits computed. */
export function wantedOf({ want, tokens }: Slice<unknown>): number {
  return want === "all" ? tokens : want === "last" ? 1 : 0;
}

/** The rows of a pass whose logits are wanted, in order. */
export function wantedRows(slices: readonly Slice<unknown>[]): number[] {
  const rows: number[] = [];
  let end = 0;
  for (const slice of slices) {
    end += slice.tokens;
    for (let row = end - wantedOf(slice); row < end; row++) rows.push(row);
  }
  return rows;
}
