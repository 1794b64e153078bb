import type { Settings } from "../lib/conversation.js";

/** Text of an answer as it comes, and at the end how it was made. */
export type AnswerEvent =
  | { kind: "text"; text: string }
  | { kind: "progress"; fraction: number }
  | {
      kind: "end";
      reason: string;
      promptTokens: number;
      cachedTokens: number;
      tokens: number;
      tokensPerSecond: number;
      fingerprint: string | undefined;
    };

export interface Turn {
  role: "system" | "user" | "assistant";
  content: string;
}

/** How a conversation is to be answered. */
export interface Asked extends Settings {
  seed: number;
  /** Tells conversations apart: a router sends the same one to the machine that knows its beginning. */
  conversation: string;
}

/** Where answers come from: a server, or a model in this page. */
export interface Engine {
  readonly kind: "server" | "page";
  /** Name of the model that answers. */
  readonly model: string;
  /** Tokens that fit, where it is known. */
  readonly contextLength: number | undefined;
  /** Answers a conversation; with the same seed always the same. */
  answer(turns: readonly Turn[], asked: Asked, signal: AbortSignal): AsyncIterable<AnswerEvent>;
  /** Facts to show: threads and why, memory … */
  facts(): [name: string, value: string][];
  dispose(): Promise<void>;
}
