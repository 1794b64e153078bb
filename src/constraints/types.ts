/** A JSON Schema, 2020-12: `true`, `false` or an object. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** What a constraint needs to know of a vocabulary. */
export interface TokenBytes {
  /** How many tokens there are, and with them how many bits a mask has. */
  readonly size: number;
  /** The bytes a token adds to a text; undefined for control tokens and entries that are not used. */
  bytes(id: number): Uint8Array | undefined;
  /** Id of a special token, by its text. */
  specialId(text: string): number | undefined;
  /** Tokens that end a text. */
  readonly stopIds: readonly number[];
}

/** What an answer has to be. Exactly one of them. */
export interface ConstraintSpec {
  schema?: JsonSchema | undefined;
  /** Has to match the whole answer. */
  regex?: string | RegExp | undefined;
  /** A grammar in llama.cpp's GBNF that begins with the rule `root`. */
  grammar?: string | undefined;
}

/** Which answers are allowed. Never changes, and can be shared by any number of generations. */
export interface Constraint {
  /** The state before the first token. */
  start(): ConstraintState;
}

/** Where in its constraint an answer stands. */
export interface ConstraintState {
  /** Whether `token` may be the next one. */
  allows(token: number): boolean;
  /**
   * All tokens that may follow: token i is bit i & 31 of word i >>> 5. Tokens that end a text are among them where the
   * answer may end. Shared: not to be written to, and valid until the next call of any method.
   * @throws ConstraintError when no token of this vocabulary can go on
   */
  mask(): Uint32Array;
  /**
   * Goes on by one token.
   * @throws ConstraintError when it is not allowed; the state stays as it was
   */
  advance(token: number): void;
  /** Goes on by text that is there already; false, and the state as it was, when it is not allowed. */
  read(bytes: Uint8Array): boolean;
  /** The answer so far is a valid one. */
  readonly complete: boolean;
  /** Nothing may follow: a valid answer has been written, or a token that ends the text. */
  readonly ended: boolean;
  /**
   * Tokens of the text that has to follow here, such as a key and its colon; empty where there is a choice. The longest
   * tokens that fit: the model might cut the same text in another way.
   */
  forced(): number[];
  /** An independent copy. */
  clone(): ConstraintState;
}
