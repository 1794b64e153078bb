import { UnsupportedError } from "../errors.js";

/** A pattern as a tree. */
export type Node =
  | { type: "set"; set: CodePoints }
  | { type: "sequence" | "choice"; parts: Node[] }
  | { type: "repeat"; part: Node; least: number; most: number; lazy: boolean }
  | { type: "look"; part: Node; wanted: boolean; behind: boolean }
  | { type: "at"; place: "^" | "$" | "b" | "B" };

/** Code points that one class or character of a pattern stands for; asked of the built-in engine, once each. */
export class CodePoints {
  readonly #test: RegExp;
  readonly #low = new Int8Array(0x300);
  readonly #others = new Map<number, boolean>();

  constructor(source: string) {
    this.#test = new RegExp(`^(?:${source})$`, "u");
  }

  has(point: number): boolean {
    if (point < this.#low.length) {
      const known = this.#low[point];
      if (known) return known > 0;
      const found = this.#test.test(String.fromCodePoint(point));
      this.#low[point] = found ? 1 : -1;
      return found;
    }
    let found = this.#others.get(point);
    if (found === undefined) {
      found = this.#test.test(String.fromCodePoint(point));
      this.#others.set(point, found);
    }
    return found;
  }
}

/** Splits a pattern, already in JavaScript's syntax, into nodes. */
export class Parser {
  readonly #tokens: string[];
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
    this.#tokens =
      source.match(
        /\\[pP]\{[^}]*\}|\\u\{[0-9a-fA-F]+\}|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\c[A-Za-z]|\\.|\[(?:\\.|[^\]\\])*\]|\(\?(?:[:=!]|<[=!])|\{\d+(?:,\d*)?\}|./gsu,
      ) ?? [];
  }

  parse(): Node {
    const node = this.#choice(0);
    if (this.#at < this.#tokens.length) throw this.#unsupported();
    return node;
  }

  #choice(depth: number): Node {
    if (depth > 200) throw this.#unsupported();
    const parts: Node[] = [this.#sequence(depth)];
    while (this.#tokens[this.#at] === "|") {
      this.#at++;
      parts.push(this.#sequence(depth));
    }
    return parts.length === 1 ? (parts[0] as Node) : { type: "choice", parts };
  }

  #sequence(depth: number): Node {
    const parts: Node[] = [];
    for (let token = this.#tokens[this.#at]; token !== undefined && token !== "|" && token !== ")"; ) {
      this.#at++;
      parts.push(this.#repeated(this.#atom(token, depth)));
      token = this.#tokens[this.#at];
    }
    return { type: "sequence", parts };
  }

  #atom(token: string, depth: number): Node {
    if (token.startsWith("(")) {
      const part = this.#choice(depth + 1);
      if (this.#tokens[this.#at++] !== ")") throw this.#unsupported();
      if (token === "(" || token === "(?:") return part;
      return { type: "look", part, wanted: token.endsWith("="), behind: token.startsWith("(?<") };
    }
    if (token === "^" || token === "$") return { type: "at", place: token };
    if (token === "\\b" || token === "\\B") return { type: "at", place: token[1] as "b" | "B" };
    // Back references, and what stands for nothing.
    if (/^\\[1-9k]/.test(token) || /^[*+?{}]/.test(token)) throw this.#unsupported();
    return { type: "set", set: new CodePoints(token === "." ? "[^\\n\\r\\u2028\\u2029]" : token) };
  }

  #repeated(part: Node): Node {
    const token = this.#tokens[this.#at] ?? "";
    const counts: Record<string, [number, number]> = {
      "*": [0, Number.POSITIVE_INFINITY],
      "+": [1, Number.POSITIVE_INFINITY],
      "?": [0, 1],
    };
    const counted = /^\{(\d+)(,?)(\d*)\}$/.exec(token);
    const given = counts[token] ?? (counted && [Number(counted[1]), mostOf(counted)]);
    if (!given) return part;
    const [least, most] = given as [number, number];
    this.#at++;
    const lazy = this.#tokens[this.#at] === "?";
    if (lazy) this.#at++;
    return { type: "repeat", part, least, most, lazy };
  }

  #unsupported(): UnsupportedError {
    return new UnsupportedError(
      `The pre-tokenizer pattern ${this.#source.slice(0, 200)} is not supported`,
      { key: "pre_tokenizer" },
      "It uses something that cannot be matched in time proportional to the text",
    );
  }
}

function mostOf([, least, comma, most]: RegExpExecArray): number {
  if (!comma) return Number(least);
  return most ? Number(most) : Number.POSITIVE_INFINITY;
}
