import { type TokenizerData, TokenType } from "../formats/model-file.js";
import { isOrdinary } from "./bpe-vocabulary.js";

/**
 * Stands inside a special token that is meant as plain text. Noncharacters: not found in text that is exchanged.
 */
export const protectionMark = "\uFDD0\uFDD1\uFDD0";
const markCharacters = /[\uFDD0\uFDD1]/g;

/** Longest token that is looked for in texts, in UTF-16 units: the search takes so many steps per character. */
const longestToken = 256;

/** What a token that ends a turn or names a speaker looks like, even where a file calls it user-defined. */
const looksSpecial = /^(<[|｜].*[|｜]>|<\/?s>|<(start|end)_of_turn>)$/s;

/**
 * Pieces of user-defined vocabulary that templates and readers of answers take for structure: `<think>`, `</tool_call>`.
 * Not HTML or white space, which some vocabularies (Gemma) define too, and which texts are full of.
 */
const looksLikeStructure =
  /^(<\/?|\[\/?|<[|｜])(think|thought|thinking|reason|reasoning|tool|function|call|response|inst|system|user|assistant|im|channel|message)([_▁ -]\w+)*([|｜]?>|\])$/i;

/** One bit each. */
const Kind = { control: 1, structure: 2, defined: 4 } as const;
type Kind = (typeof Kind)[keyof typeof Kind];

/** What texts that begin alike go on with. */
interface Node {
  /** Token that ends here. */
  id?: number;
  kind?: Kind;
  next?: Map<number, Node>;
}

/**
 * Tokens that are found in a text before the rest is encoded, and where they stand in it: special ones (control tokens),
 * which only count when they are asked for, and pieces the makers of the vocabulary defined, which always do. Found by
 * walking a tree of their characters: no vocabulary makes that slow.
 */
export class SpecialTokens {
  readonly #ids = new Map<string, number>();
  readonly #special: Uint8Array;
  readonly #root: Node = {};
  readonly #stripLeft: ReadonlySet<number>;
  readonly #stripRight: ReadonlySet<number>;

  constructor(data: TokenizerData) {
    this.#special = new Uint8Array(data.tokens.length);
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
      // Marks never stand for a token: a text that holds them was protected.
      if (text.length <= longestToken && text.search(markCharacters) < 0)
        this.#add(
          text,
          id,
          userDefined ? (looksLikeStructure.test(text) ? Kind.structure : Kind.defined) : Kind.control,
        );
    }
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

  /**
   * The text with a mark inside every control token written out in it, so that `split` finds none. (One of a single
   * character cannot be marked.)
   * @param structure the same for user-defined tokens that look like structure
   */
  protect(text: string, structure = false): string {
    const kinds = Kind.control | (structure ? Kind.structure : 0);
    const clean = text.replace(markCharacters, "");
    let marked = "";
    let done = 0;
    for (let at = 0; at < clean.length; at++) {
      const first = clean.codePointAt(at)! > 0xffff ? 2 : 1;
      if (this.#longest(clean, at, kinds, first) === undefined) continue;
      marked += clean.slice(done, at + first) + protectionMark;
      done = at + first;
    }
    return marked + clean.slice(done);
  }

  /**
   * The text as ordinary stretches (strings, never empty) and tokens (ids), in order; of several at one place the longest.
   * @param special find control tokens, too
   */
  split(text: string, special: boolean): (string | number)[] {
    const parts: (string | number)[] = [];
    const kinds = Kind.structure | Kind.defined | (special ? Kind.control : 0);
    let done = 0;
    for (let at = 0; at < text.length; ) {
      const found = this.#longest(text, at, kinds);
      if (!found) {
        at++;
        continue;
      }
      let before = text.slice(done, at);
      if (this.#stripLeft.has(found.id)) before = before.trimEnd();
      if (before) parts.push(before);
      parts.push(found.id);
      at += found.length;
      if (this.#stripRight.has(found.id)) while (at < text.length && text.charAt(at).trim() === "") at++;
      done = at;
    }
    if (done < text.length) parts.push(text.slice(done));
    return parts;
  }

  #add(text: string, id: number, kind: Kind): void {
    let node = this.#root;
    for (let i = 0; i < text.length; i++) {
      node.next ??= new Map();
      let next = node.next.get(text.charCodeAt(i));
      if (!next) {
        next = {};
        node.next.set(text.charCodeAt(i), next);
      }
      node = next;
    }
    node.id = id;
    node.kind = kind;
  }

  /** The longest token at this place that is longer than `least` UTF-16 units, of these kinds. */
  #longest(text: string, from: number, kinds: number, least = 0): { id: number; length: number } | undefined {
    let node: Node | undefined = this.#root;
    let found: { id: number; length: number } | undefined;
    for (let at = from; at <= text.length; at++) {
      if (node.id !== undefined && at - from > least && ((node.kind as Kind) & kinds) !== 0)
        found = { id: node.id, length: at - from };
      node = node.next?.get(text.charCodeAt(at));
      if (!node) break;
    }
    return found;
  }
}
