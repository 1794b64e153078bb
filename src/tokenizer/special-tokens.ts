import { type TokenizerData, TokenType } from "../formats/model-file.js";
import { isOrdinary } from "./bpe-vocabulary.js";

/**
 * Stands between the characters of a special token that is meant as plain text. Noncharacters: not found in text that is
 * exchanged.
 */
export const protectionMark = "\uFDD0\uFDD1\uFDD0";

/** Control and user-defined tokens of a vocabulary, and where they stand in a text. */
export class SpecialTokens {
  readonly #ids = new Map<string, number>();
  readonly #special: Uint8Array;
  readonly #pattern: RegExp | undefined;

  constructor(data: TokenizerData) {
    this.#special = new Uint8Array(data.tokens.length);
    for (let id = 0; id < data.tokens.length; id++) {
      const type = data.types[id];
      const special =
        type === undefined ? !isOrdinary(data, id) : type === TokenType.control || type === TokenType.userDefined;
      if (!special) continue;
      this.#special[id] = 1;
      const text = data.tokens[id]!;
      if (text && !this.#ids.has(text)) this.#ids.set(text, id);
    }
    // Of alternatives a regular expression takes the first that fits: the longest has to come first.
    const texts = [...this.#ids.keys()].sort((a, b) => b.length - a.length);
    if (texts.length)
      this.#pattern = new RegExp(texts.map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("|"), "g");
  }

  has(id: number): boolean {
    return this.#special[id] === 1;
  }

  idOf(text: string): number | undefined {
    return this.#ids.get(text);
  }

  /** The text with marks in every special token written out in it, so that `split` finds none. */
  protect(text: string): string {
    let marked = text.replaceAll(protectionMark, "");
    if (!this.#pattern) return marked;
    // Marking one can leave another that overlapped it; a special token of a single character cannot be marked.
    for (let before = ""; before !== marked; ) {
      before = marked;
      marked = marked.replace(this.#pattern, (token) => [...token].join(protectionMark));
    }
    return marked;
  }

  /** The text as ordinary stretches (strings, never empty) and special tokens (ids), in order. */
  split(text: string): (string | number)[] {
    const parts: (string | number)[] = [];
    let done = 0;
    if (this.#pattern)
      for (const match of text.matchAll(this.#pattern)) {
        if (match.index > done) parts.push(text.slice(done, match.index));
        parts.push(this.#ids.get(match[0])!);
        done = match.index + match[0].length;
      }
    if (done < text.length) parts.push(text.slice(done));
    return parts;
  }
}
