import { type TokenizerData, TokenType } from "../formats/model-file.js";
import { isOrdinary } from "./bpe-vocabulary.js";

/**
 * Stands between the characters of a special token that is meant as plain text. Noncharacters: not found in text that is
 * exchanged.
 */
export const protectionMark = "\uFDD0\uFDD1\uFDD0";

/** What a token that ends a turn or names a speaker looks like, even where a file calls it user-defined. */
const looksSpecial = /^(<[|｜].*[|｜]>|<\/?s>|<(start|end)_of_turn>)$/s;

/**
 * Tokens that are found in a text before the rest is encoded, and where they stand in it: special ones (control tokens),
 * which only count when they are asked for, and pieces the makers of the vocabulary defined, which always do.
 */
export class SpecialTokens {
  readonly #ids = new Map<string, number>();
  readonly #special: Uint8Array;
  readonly #control: RegExp | undefined;
  readonly #defined: RegExp | undefined;
  readonly #all: RegExp | undefined;
  readonly #stripLeft: ReadonlySet<number>;
  readonly #stripRight: ReadonlySet<number>;

  constructor(data: TokenizerData) {
    this.#special = new Uint8Array(data.tokens.length);
    const [control, defined]: [string[], string[]] = [[], []];
    for (let id = 0; id < data.tokens.length; id++) {
      const type = data.types[id];
      const text = data.tokens[id]!;
      const userDefined = type === TokenType.userDefined && !looksSpecial.test(text) && !data.eosIds.includes(id);
      const special =
        type === undefined ? !isOrdinary(data, id) : type === TokenType.control || type === TokenType.userDefined;
      if (!special) continue;
      if (!userDefined) this.#special[id] = 1;
      if (!text || this.#ids.has(text)) continue;
      this.#ids.set(text, id);
      (userDefined ? defined : control).push(text);
    }
    this.#control = anyOf(control);
    this.#defined = anyOf(defined);
    this.#all = anyOf([...control, ...defined]);
    this.#stripLeft = new Set(data.stripLeft);
    this.#stripRight = new Set(data.stripRight);
  }

  /** Whether it is a control token. */
  has(id: number): boolean {
    return this.#special[id] === 1;
  }

  idOf(text: string): number | undefined {
    return this.#ids.get(text);
  }

  /** The text with marks in every control token written out in it, so that `split` finds none. */
  protect(text: string): string {
    let marked = text.replaceAll(protectionMark, "");
    const control = this.#control;
    if (!control) return marked;
    // Marking one can leave another that overlapped it; a special token of a single character cannot be marked.
    for (let before = ""; before !== marked; ) {
      before = marked;
      marked = marked.replace(control, (token) => [...token].join(protectionMark));
    }
    return marked;
  }

  /**
   * The text as ordinary stretches (strings, never empty) and tokens (ids), in order.
   * @param special find control tokens, too
   */
  split(text: string, special: boolean): (string | number)[] {
    const parts: (string | number)[] = [];
    const pattern = special ? this.#all : this.#defined;
    let done = 0;
    if (pattern)
      for (const match of text.matchAll(pattern)) {
        const id = this.#ids.get(match[0])!;
        let before = text.slice(done, match.index);
        if (this.#stripLeft.has(id)) before = before.trimEnd();
        if (before) parts.push(before);
        parts.push(id);
        done = match.index + match[0].length;
        if (this.#stripRight.has(id)) done += text.slice(done).length - text.slice(done).trimStart().length;
      }
    if (done < text.length) parts.push(text.slice(done));
    return parts;
  }
}

/** Of alternatives a regular expression takes the first that fits: the longest has to come first. */
function anyOf(texts: readonly string[]): RegExp | undefined {
  if (texts.length === 0) return undefined;
  const sorted = [...texts].sort((a, b) => b.length - a.length);
  return new RegExp(sorted.map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("|"), "g");
}
