import type { ToolCall } from "./tools.js";

/**
 * Why a generation ended. `stop`: the model ended its text, or a stop text appeared; `length`: `maxTokens` is reached;
 * `context`: the context is full; `schema`: a constraint (schema, regular expression, grammar) is complete; `tool`: the
 * answer is tool calls; `abort`: broken off, by a signal or by its reader.
 */
export type FinishReason = "stop" | "length" | "context" | "schema" | "tool" | "abort";

/** Tokens of one generation. */
export interface Usage {
  /** Tokens of everything the model was given, a conversation's earlier turns included. */
  promptTokens: number;
  /** How many of them had been computed before and were not computed again. */
  cachedTokens: number;
  /** Tokens written. The one by which a model ends its text is not counted. */
  completionTokens: number;
}

/** A token with its probability. */
export interface TokenLogprob {
  token: number;
  /** The token alone as text; incomplete UTF-8 becomes U+FFFD. */
  text: string;
  /** Natural logarithm of the token's probability, as in `Piece.logprob`. */
  logprob: number;
}

/** One step of a generation. */
export interface Piece {
  /** New text. May be empty: a character can take several tokens, and what may begin a stop text is held back. */
  text: string;
  /**
   * Id of the token; −1 in the last piece, which has no token of its own, and in further pieces for a token that ends one
   * tool call and begins another.
   */
  token: number;
  /**
   * Natural logarithm of the token's probability in the model's own distribution, before biases, penalties, temperature
   * and cuts. Under a constraint (schema, regular expression, grammar, forced tool): among the tokens it allows. 0 in the
   * last piece.
   */
  logprob: number;
  /** The likeliest tokens, likeliest first, in the same distribution as `logprob`. Only with the option `topLogprobs`. */
  topLogprobs?: TokenLogprob[] | undefined;
  /** What is new of a tool call; text of tool calls is not in `text`. */
  toolCallDelta?:
    | { index: number; id?: string | undefined; name?: string | undefined; arguments?: string | undefined }
    | undefined;
  /** Only in the last piece, which every generation that is not aborted ends with; it has the text held back until then. */
  finishReason?: FinishReason | undefined;
  /** Only in the last piece. */
  usage?: Usage | undefined;
}

/** A whole answer. `T`: type of the value that a schema describes. */
export interface Completion<T = unknown> {
  text: string;
  /** Ids of the tokens written, without the one that ended the text. */
  tokens: number[];
  usage: Usage;
  finishReason: FinishReason;
  /** One entry per token; only with the option `topLogprobs` (0: no alternatives). */
  logprobs?: (TokenLogprob & { topLogprobs: TokenLogprob[] })[] | undefined;
  /** With the option `schema`: the answer parsed. */
  value?: T | undefined;
  /** Calls of tools the answer asks for. */
  toolCalls?: ToolCall[] | undefined;
  /** Wall-clock time, in milliseconds: until the first token, and after it. */
  timings?: { promptMs: number; completionMs: number } | undefined;
}

/** A reader that pieces are made ahead of: what it has not taken when it breaks off is taken back. */
export interface PieceReader {
  /** How many pieces it took before it broke off or aborted; infinite when it did not. */
  taken(): number;
  /** Waits until it has taken all there are, or has broken off or aborted. */
  caughtUp(): Promise<void>;
}
