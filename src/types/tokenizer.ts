import type { TokenIds } from "./common.js";
import type { ChatMessage, TemplateOptions } from "./messages.js";

/** Text ↔ token ids. */
export interface Tokenizer {
  /**
   * @param options.special turn special tokens written out in the text into their ids. Default false.
   * @param options.addBos put the model's first token in front. Default false.
   */
  encode(text: string, options?: { special?: boolean; addBos?: boolean }): ArrayLike<number> & Iterable<number>;
  /** Text of the ids; incomplete UTF-8 becomes U+FFFD. */
  decode(ids: TokenIds): string;
  /** Whether the model wants its first token in front of plain text. */
  readonly addBos: boolean;
  /** How many tokens a text is, special tokens written out in it taken as plain text. */
  countTokens(text: string): number;
  /**
   * A conversation as the model's chat template writes it, its first token included; encode it with `special: true`.
   * Special tokens that a message only quotes are marked, so that `encode` takes them as plain text.
   * A model without a template gets a plain one.
   * @throws TokenizerError when the template fails or refuses the messages
   */
  applyTemplate(messages: readonly ChatMessage[], options?: TemplateOptions): Promise<string>;
}
