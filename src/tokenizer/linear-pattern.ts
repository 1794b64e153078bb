import { TokenizerError, UnsupportedError } from "../errors.js";

/** Steps per character, and besides: what honest patterns need is below 100. */
const STEPS_PER_CHARACTER = 1000;
const STEPS_BESIDES = 1_000_000;
/** Instructions of a pattern: counted repetitions are written out. */
const MOST_INSTRUCTIONS = 20_000;
/** Places of a text whose visited states share a page. */
const PAGE = 1024;

/** One of a set of code points; try `x`, then `y`; go to `x`; look around; a place in the text; the end. */
type Instruction =
  | { op: "set"; set: CodePoints }
  | { op: "split"; x: number; y: number; memo: number }
  | { op: "jump"; x: number }
  | { op: "look"; program: Program; wanted: boolean; behind: boolean }
  | { op: "at"; place: "^" | "$" | "b" | "B" }
  | { op: "end" };
type Program = { code: Instruction[]; splits: number };

type Node =
  | { type: "set"; set: CodePoints }
  | { type: "sequence" | "choice"; parts: Node[] }
  | { type: "repeat"; part: Node; least: number; most: number; lazy: boolean }
  | { type: "look"; part: Node; wanted: boolean; behind: boolean }
  | { type: "at"; place: "^" | "$" | "b" | "B" };

/**
 * A regular expression with the matches of JavaScript's, found in time proportional to the text: no state of the pattern
 * is tried twice at the same place. JavaScript's own engine takes exponential time for some patterns, and its stack does
 * not hold some millions of letters. For patterns that come with a model file, and for texts that are too long for the
 * built-in engine; for others that one is much faster.
 *
 * Used with `text.matchAll(pattern)`. Without captures, back references and flags other than `u`.
 * @see https://swtch.com/~rsc/regexp/regexp3.html (the bit-state matcher)
 */
export class LinearPattern {
  readonly source: string;
  readonly #program: Program;

  /** @throws UnsupportedError for what it does not know, and for patterns that are too long */
  constructor(source: string) {
    this.source = source;
    this.#program = compile(new Parser(source).parse(), source);
  }

  /** @throws TokenizerError when a look-around makes it take too long */
  *[Symbol.matchAll](text: string): Generator<{ 0: string; index: number }> {
    const run = new Run(text);
    for (let at = 0; at <= text.length; ) {
      const end = run.match(this.#program, at);
      if (end < 0) {
        at += text.codePointAt(at)! > 0xffff ? 2 : 1;
        continue;
      }
      yield { 0: text.slice(at, end), index: at };
      // What was visited on the way to a match may still lead to others.
      run.forget(this.#program, end);
      at = end > at ? end : end + (text.codePointAt(end)! > 0xffff ? 2 : 1);
    }
  }
}

/** Code points that one class or character of a pattern stands for; asked of the built-in engine, once each. */
class CodePoints {
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
class Parser {
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

function compile(root: Node, source: string, backwards = false): Program {
  const code: Instruction[] = [];
  let splits = 0;
  const emit = (instruction: Instruction) => {
    if (code.length >= MOST_INSTRUCTIONS)
      throw new UnsupportedError(`The pre-tokenizer pattern is too long: ${source.slice(0, 200)}`, {
        key: "pre_tokenizer",
      });
    return code.push(instruction) - 1;
  };
  const split = () => emit({ op: "split", x: 0, y: 0, memo: splits++ });
  const aim = (at: number, x: number, y: number, lazy = false) => {
    Object.assign(code[at] as Instruction, lazy ? { x: y, y: x } : { x, y });
  };
  const write = (node: Node): void => {
    switch (node.type) {
      case "set":
        emit({ op: "set", set: node.set });
        break;
      case "at":
        emit({ op: "at", place: node.place });
        break;
      case "look": {
        const { wanted, behind } = node;
        emit({ op: "look", program: compile(node.part, source, behind), wanted, behind });
        break;
      }
      case "sequence":
        for (const part of backwards ? [...node.parts].reverse() : node.parts) write(part);
        break;
      case "choice": {
        const ends: number[] = [];
        const others = [...node.parts];
        const last = others.pop() as Node;
        for (const part of others) {
          const at = split();
          write(part);
          ends.push(emit({ op: "jump", x: 0 }));
          aim(at, at + 1, code.length);
        }
        write(last);
        for (const end of ends) Object.assign(code[end] as Instruction, { x: code.length });
        break;
      }
      case "repeat": {
        const { part, least, most, lazy } = node;
        for (let i = 0; i < least; i++) write(part);
        if (most === Number.POSITIVE_INFINITY) {
          const at = split();
          write(part);
          emit({ op: "jump", x: at });
          aim(at, at + 1, code.length, lazy);
        } else {
          const open: number[] = [];
          for (let i = least; i < most; i++) {
            open.push(split());
            write(part);
          }
          for (const at of open) aim(at, at + 1, code.length, lazy);
        }
        break;
      }
    }
  };
  write(root);
  emit({ op: "end" });
  return { code, splits };
}

/** States that were tried, by place and split: pages of bits, and which of them are not empty. */
interface Visited {
  pages: (Uint32Array | undefined)[];
  used: Set<number>;
}

/** One text and what is known about it. */
class Run {
  readonly #text: string;
  readonly #visited = new Map<Program, Visited>();
  #steps: number;

  constructor(text: string) {
    this.#text = text;
    this.#steps = STEPS_BESIDES + STEPS_PER_CHARACTER * text.length;
  }

  /** Where the match that begins at `from` ends, or −1; for look-behind it goes to the left. */
  match(program: Program, from: number, backwards = false): number {
    const { code } = program;
    const text = this.#text;
    const { pages, used } = this.#states(program);
    const words = Math.ceil((PAGE * program.splits) / 32);
    const pending: number[] = [];
    let pc = 0;
    let at = from;
    let last = -1;
    for (;;) {
      if (--this.#steps < 0)
        throw new TokenizerError(
          "The model's pre-tokenizer pattern takes too long on this text",
          { key: "pre_tokenizer" },
          "The model's file is damaged, or meant to do harm",
        );
      const step = code[pc] as Instruction;
      let failed = false;
      switch (step.op) {
        case "end":
          return at;
        case "set": {
          const point = backwards ? pointBefore(text, at) : text.codePointAt(at);
          if (point === undefined || !step.set.has(point)) failed = true;
          else {
            at += (point > 0xffff ? 2 : 1) * (backwards ? -1 : 1);
            pc++;
          }
          break;
        }
        case "jump":
          pc = step.x;
          break;
        case "at":
          if (isAt(text, at, step.place)) pc++;
          else failed = true;
          break;
        case "look": {
          const found = this.match(step.program, at, step.behind) >= 0;
          if (found) this.forget(step.program, 0);
          if (found === step.wanted) pc++;
          else failed = true;
          break;
        }
        case "split": {
          const index = Math.floor(at / PAGE);
          let page = pages[index];
          if (!page) {
            page = new Uint32Array(words);
            pages[index] = page;
          }
          if (index !== last) {
            last = index;
            used.add(index);
          }
          const bit = (at % PAGE) * program.splits + step.memo;
          const mask = 1 << (bit & 31);
          if ((page[bit >>> 5] as number) & mask) failed = true;
          else {
            page[bit >>> 5] = (page[bit >>> 5] as number) | mask;
            pending.push(step.y, at);
            pc = step.x;
          }
          break;
        }
      }
      if (!failed) continue;
      if (pending.length === 0) return -1;
      at = pending.pop() as number;
      pc = pending.pop() as number;
    }
  }

  /** Forgets what was tried, and gives back the pages that lie before `from`. */
  forget(program: Program, from: number): void {
    const { pages, used } = this.#states(program);
    const first = Math.floor(from / PAGE);
    for (const index of used) {
      const page = pages[index] as Uint32Array;
      if (index < first) pages[index] = undefined;
      else page.fill(0);
      this.#steps -= page.length / 16;
    }
    used.clear();
  }

  #states(program: Program): Visited {
    let states = this.#visited.get(program);
    if (!states) {
      states = { pages: [], used: new Set() };
      this.#visited.set(program, states);
    }
    return states;
  }
}

function pointBefore(text: string, at: number): number | undefined {
  if (at === 0) return undefined;
  const last = text.charCodeAt(at - 1);
  const pair = at > 1 && last >= 0xdc00 && last < 0xe000 ? text.codePointAt(at - 2) : undefined;
  return pair !== undefined && pair > 0xffff ? pair : last;
}

function isAt(text: string, at: number, place: "^" | "$" | "b" | "B"): boolean {
  if (place === "^") return at === 0;
  if (place === "$") return at === text.length;
  const word = (index: number) => /\w/.test(text.charAt(index));
  return (word(at - 1) !== word(at)) === (place === "b");
}
