/** How far an answer has come that has to follow a schema, a regular expression or a grammar. */
export interface AnswerConstraint {
  /** The tokens that may follow: bit i % 32 of word i / 32 for token i. Valid until the next call. */
  mask(): Uint32Array;
  /** Goes on by one token. @throws when it is not allowed */
  advance(token: number): void;
  /** Nothing may follow. */
  readonly ended: boolean;
  /** Tokens of the text that has to follow, where there is no choice. */
  forced(): number[];
}
