import { OptionError } from "../errors.js";
import { classAutomaton } from "./automaton.js";
import { allCodePoints, complementRanges, type Ranges, rangesOf } from "./code-points.js";
import { limits } from "./limits.js";
import type { Node, NodeFactory } from "./nodes.js";
import { specialBytes } from "./token-trie.js";
import type { TokenBytes } from "./types.js";

type RuleNode = ReturnType<NodeFactory["rule"]>;

/**
 * Reads a grammar in GBNF, as llama.cpp writes it (`grammars/README.md` there): rules `name ::= alternatives`, texts in
 * quotes, classes of characters, `.`, groups, `* + ? {m} {m,} {m,n}`, special tokens as `<text>` or `<[id]>`, comments
 * from `#` to the end of the line. The answer is the rule `root`.
 * @throws OptionError naming line and column of what is wrong
 */
export function parseGrammar(source: string, nodes: NodeFactory, vocabulary: TokenBytes): Node {
  return new GrammarParser(source, nodes, vocabulary).parse();
}

class GrammarParser {
  readonly #text: string;
  readonly #nodes: NodeFactory;
  readonly #vocabulary: TokenBytes;
  /** Rules by name, and where each was first mentioned. */
  readonly #rules = new Map<string, { node: RuleNode; at: number }>();
  #at = 0;
  #depth = 0;

  constructor(source: string, nodes: NodeFactory, vocabulary: TokenBytes) {
    this.#text = source;
    this.#nodes = nodes;
    this.#vocabulary = vocabulary;
  }

  parse(): Node {
    if (this.#text.length > limits.sourceLength)
      throw this.#refuse(`The grammar is longer than ${limits.sourceLength} characters`);
    this.#space(true);
    while (this.#at < this.#text.length) this.#rule();
    for (const [name, { node, at }] of this.#rules)
      if (!node.shape.rule.body) throw this.#refuse(`There is no rule "${name}"`, at);
    const root = this.#rules.get("root");
    if (!root) throw this.#refuse('There is no rule "root", with which an answer begins');
    this.#nodes.finish();
    this.#refuseLeftRecursion();
    if (root.node.dead) throw this.#refuse('No text fits the rule "root": it never comes to an end');
    return root.node;
  }

  #rule(): void {
    const start = this.#at;
    const name = this.#name();
    this.#space(false);
    if (!this.#take("::=")) throw this.#refuse(`"::=" is missing after "${name}"`);
    this.#space(true);
    const { node } = this.#reference(name, start);
    if (node.shape.rule.body) throw this.#refuse(`The rule "${name}" is written twice`, start);
    node.shape.rule.body = this.#alternatives(false);
    if (this.#at < this.#text.length && !this.#take("\r\n") && !this.#take("\n") && !this.#take("\r"))
      throw this.#refuse(`${JSON.stringify(this.#text[this.#at])} is not expected here`);
    this.#space(true);
  }

  #alternatives(nested: boolean): Node {
    if (++this.#depth > limits.depth)
      throw this.#refuse(`There are more than ${limits.depth} groups inside each other`);
    const items = [this.#sequence(nested)];
    while (this.#take("|")) {
      this.#space(true);
      items.push(this.#sequence(nested));
    }
    this.#depth--;
    return this.#nodes.choice(...items);
  }

  #sequence(nested: boolean): Node {
    const items: Node[] = [];
    for (;;) {
      const item = this.#item(nested);
      if (!item) return this.#nodes.sequence(...items);
      this.#space(nested);
      items.push(this.#repeated(item, nested));
    }
  }

  #repeated(item: Node, nested: boolean): Node {
    let node = item;
    for (;;) {
      const bounds = this.#bounds();
      if (!bounds) return node;
      node = this.#nodes.repeat(node, bounds[0], bounds[1]);
      this.#space(nested);
    }
  }

  #bounds(): [min: number, max: number] | undefined {
    if (this.#take("*")) return [0, Number.POSITIVE_INFINITY];
    if (this.#take("+")) return [1, Number.POSITIVE_INFINITY];
    if (this.#take("?")) return [0, 1];
    if (this.#text[this.#at] !== "{") return undefined;
    const match = /^\{\s*(\d*)\s*(,\s*(\d*)\s*)?\}/.exec(this.#text.slice(this.#at, this.#at + 64));
    if (!match || (match[1] === "" && !match[3])) throw this.#refuse("A repetition is {m}, {m,}, {,n} or {m,n}");
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] ? Number(match[3]) : Number.POSITIVE_INFINITY;
    if (max < min) throw this.#refuse(`The repetition ${match[0]} ends before it begins`);
    if (!Number.isSafeInteger(min) || (Number.isFinite(max) && !Number.isSafeInteger(max)))
      throw this.#refuse(`The repetition ${match[0]} is too long`);
    this.#at += match[0].length;
    return [min, max];
  }

  #item(nested: boolean): Node | undefined {
    const character = this.#text[this.#at];
    if (character === '"') return this.#literal();
    if (character === "[") return this.#class();
    if (character === "<") return this.#token();
    if (character === "!") throw this.#refuse('"!" before a token, for any other token, is not supported');
    if (this.#take(".")) return this.#characters(allCodePoints);
    if (this.#take("(")) {
      this.#space(true);
      const inner = this.#alternatives(true);
      if (!this.#take(")")) throw this.#refuse('A "(" has no ")"');
      return inner;
    }
    if (character === undefined || !/[A-Za-z0-9_-]/.test(character)) return undefined;
    // A name at the start of the next rule ends this one; inside of a group there is no next rule.
    const start = this.#at;
    const name = this.#name();
    if (nested) {
      const after = this.#at;
      this.#space(true);
      if (this.#text.startsWith("::=", this.#at)) throw this.#refuse('A "(" has no ")"', start);
      this.#at = after;
    }
    return this.#reference(name, start).node;
  }

  #literal(): Node {
    const start = this.#at++;
    let text = "";
    while (this.#text[this.#at] !== '"') {
      if (this.#at >= this.#text.length) throw this.#refuse("A text has no closing quote", start);
      text += String.fromCodePoint(this.#character());
    }
    this.#at++;
    return this.#nodes.text(text);
  }

  #class(): Node {
    const start = this.#at++;
    const negated = this.#take("^");
    const parts: number[] = [];
    while (this.#text[this.#at] !== "]") {
      if (this.#at >= this.#text.length) throw this.#refuse('A "[" has no "]"', start);
      const low = this.#character();
      let high = low;
      if (this.#text[this.#at] === "-" && this.#text[this.#at + 1] !== "]") {
        this.#at++;
        if (this.#at >= this.#text.length) throw this.#refuse('A "[" has no "]"', start);
        high = this.#character();
      }
      if (high < low) throw this.#refuse("A range of characters ends before it begins", start);
      parts.push(low, high);
    }
    this.#at++;
    const ranges = rangesOf(parts);
    return this.#characters(negated ? complementRanges(ranges) : ranges);
  }

  /** A special token: `<text>` or `<[id]>`. */
  #token(): Node {
    const end = this.#text.indexOf(">", this.#at);
    const written = this.#text.slice(this.#at, end + 1);
    if (end < 0 || /[\r\n]/.test(written)) throw this.#refuse('A "<" has no ">"');
    const numbered = /^<\[(\d+)\]>$/.exec(written);
    const id = numbered ? Number(numbered[1]) : this.#vocabulary.specialId(written);
    if (id === undefined || id >= this.#vocabulary.size)
      throw this.#refuse(`The model has no special token ${written}`);
    if (this.#vocabulary.stopIds.includes(id))
      throw this.#refuse(`${written} ends a text, and cannot be part of a grammar`);
    this.#at = end + 1;
    const bytes = this.#vocabulary.bytes(id);
    return this.#nodes.literal(bytes ?? specialBytes(id));
  }

  #characters(ranges: Ranges): Node {
    return this.#nodes.automaton(classAutomaton(ranges));
  }

  /** One character of a text or class, an escape resolved. */
  #character(): number {
    const code = this.#text.codePointAt(this.#at)!;
    this.#at += code > 0xffff ? 2 : 1;
    if (code !== 0x5c) {
      if (code === 10 || code === 13)
        throw this.#refuse('A line ends inside a text or class; write "\\n"', this.#at - 1);
      return code;
    }
    const letter = this.#text[this.#at++] ?? "";
    const simple = { n: 10, r: 13, t: 9 }[letter];
    if (simple !== undefined) return simple;
    if ('"\\[]-^'.includes(letter) && letter !== "") return letter.charCodeAt(0);
    const length = { x: 2, u: 4, U: 8 }[letter];
    if (length === undefined) throw this.#refuse(`The escape "\\${letter}" is not known`, this.#at - 2);
    const digits = this.#text.slice(this.#at, this.#at + length);
    const value = /^[0-9A-Fa-f]+$/.test(digits) && digits.length === length ? Number.parseInt(digits, 16) : -1;
    if (value < 0 || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
      throw this.#refuse(`"\\${letter}${digits}" is no character`, this.#at - 2);
    this.#at += length;
    return value;
  }

  #reference(name: string, at: number): { node: RuleNode; at: number } {
    let found = this.#rules.get(name);
    if (!found) {
      found = { node: this.#nodes.rule(name), at };
      this.#rules.set(name, found);
    }
    return found;
  }

  #name(): string {
    const match = /^[A-Za-z0-9_-]+/.exec(this.#text.slice(this.#at, this.#at + 256));
    if (!match) throw this.#refuse("The name of a rule is missing");
    this.#at += match[0].length;
    return match[0];
  }

  /** Skips blanks and comments, with `lines` also ends of lines. */
  #space(lines: boolean): void {
    for (;;) {
      const character = this.#text[this.#at];
      if (character === "#") while (this.#at < this.#text.length && !/[\r\n]/.test(this.#text[this.#at]!)) this.#at++;
      else if (character === " " || character === "\t" || (lines && (character === "\n" || character === "\r")))
        this.#at++;
      else return;
    }
  }

  /** A rule that begins with itself could be read without end. */
  #refuseLeftRecursion(): void {
    const done = new Set<Node>();
    const open = new Set<Node>();
    // Nodes that may be the beginning of others, walked without recursion: grammars may be long chains.
    for (const [name, { node, at }] of this.#rules) {
      const stack: { node: Node; next: Node[] }[] = [{ node, next: beginnings(node) }];
      if (done.has(node)) continue;
      open.add(node);
      while (stack.length) {
        const top = stack[stack.length - 1]!;
        const child = top.next.pop();
        if (!child) {
          open.delete(top.node);
          done.add(top.node);
          stack.pop();
        } else if (open.has(child)) {
          throw this.#refuse(`The rule "${name}" can begin with itself (left recursion)`, at);
        } else if (!done.has(child)) {
          open.add(child);
          stack.push({ node: child, next: beginnings(child) });
        }
      }
    }
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #refuse(what: string, at = this.#at): OptionError {
    const before = this.#text.slice(0, at).split("\n");
    return new OptionError(what, { key: `grammar, line ${before.length}, column ${before.at(-1)!.length + 1}` });
  }
}

/** Parts with which a node may begin. */
function beginnings({ shape }: Node): Node[] {
  switch (shape.kind) {
    case "sequence":
      return shape.first.nullable ? [shape.first, shape.rest] : [shape.first];
    case "choice":
      return [...shape.items];
    case "repeat":
      return [shape.item];
    case "rule":
      return shape.rule.body ? [shape.rule.body] : [];
    default:
      return [];
  }
}
