import type { HeadRanges } from "../model/slice.js";

/** How far an answer has come that has to follow a schema, a regular expression or a grammar. */
export interface AnswerConstraint {
  /** The tokens that may follow: bit i % 32 of word i / 32 for token i. Valid until the next call. */
  mask(): Uint32Array;
  /** Goes on by one token. @throws when it is not allowed */
  advance(token: number): void;
  /** Nothing may follow. */
  readonly ended: boolean;
  /** Whether `token` may be the next one. */
  allows(token: number): boolean;
  /** An independent copy. */
  clone(): AnswerConstraint;
  /** Tokens of the text that has to follow, where there is no choice. */
  forced(): number[];
}

/**
 * What of the head the tokens of a pass need: the next one, and those after each proposal. Proposals that are not allowed,
 * and those after which nothing can follow, are taken off `draft`: they would be computed to no use.
 * @param rangesOf what the engine makes of a mask
 */
export function passRanges(
  constraint: AnswerConstraint,
  draft: number[],
  rangesOf: (mask: Uint32Array) => HeadRanges | undefined,
): (HeadRanges | undefined)[] {
  const ranges = [rangesOf(constraint.mask())];
  if (draft.length === 0) return ranges;
  const ahead = constraint.clone();
  for (const [i, token] of draft.entries()) {
    if (ahead.allows(token)) {
      ahead.advance(token);
      if (!ahead.ended) {
        ranges.push(rangesOf(ahead.mask()));
        continue;
      }
    }
    draft.length = i;
    break;
  }
  return ranges;
}
