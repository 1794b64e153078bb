import type { SignalOptions } from "./common.js";
import type { GenerateOptions } from "./generate-options.js";
import type { ChatMessage } from "./messages.js";
import type { Piece } from "./results.js";

/** What a chat begins with. */
export interface ChatOptions {
  /** The system prompt. */
  system?: string | undefined;
  /** Messages of an earlier conversation. */
  messages?: readonly ChatMessage[] | undefined;
}

/**
 * A conversation. Earlier turns are never computed again, unless the context is full: then the oldest are dropped (see
 * `contextOverflow`). One call at a time; a second one is a SessionError.
 */
export interface Chat {
  /** All messages so far, the system prompt first, those included that the model does not see any more. */
  readonly messages: readonly ChatMessage[];
  /**
   * Sends a message, or several (the results of tools), and streams the answer. Breaking off keeps what was answered so
   * far; aborted before the first token, the chat is as before.
   */
  send(message: string | ChatMessage | readonly ChatMessage[], options?: GenerateOptions): AsyncIterable<Piece>;
  /** Answers the last message anew. The old answer is replaced when the new one has begun. */
  regenerate(options?: GenerateOptions): AsyncIterable<Piece>;
  /** Goes on with the last answer; the pieces are what is new. */
  continue(options?: GenerateOptions): AsyncIterable<Piece>;
  /**
   * Replaces the text of a message and forgets those after it (after the system prompt: none). `regenerate` then answers
   * it, `continue` goes on with it.
   * @param index place in `messages`; −1 is the last one
   */
  edit(index: number, content: string): Promise<void>;
  /** Exchanges the system prompt, or takes it away. */
  setSystem(system: string | undefined): Promise<void>;
  /** An independent copy. */
  fork(options?: SignalOptions): Promise<Chat>;
  /**
   * The chat as bytes, for `restore`.
   * @param options.computed with what was computed, which makes it large and restoring quick. Default true.
   */
  save(options?: SignalOptions & { computed?: boolean | undefined }): Promise<Uint8Array>;
  /**
   * Replaces this chat by a saved one.
   * @throws SessionError when the bytes are damaged or come from another model; the chat is as before then, or when
   * the signal is aborted
   */
  restore(bytes: Uint8Array, options?: SignalOptions): Promise<void>;
  dispose(): Promise<void>;
}
