import { TokenizerError } from "../errors.js";
import { compile, type Instruction, type Program } from "./linear-program.js";
import { Parser } from "./pattern-parser.js";

/** Steps per character, and besides: what honest patterns need is below 100. */
const STEPS_PER_CHARACTER = 1000;
const STEPS_BESIDES = 1_000_000;
/** Places of a text whose visited states share a page. */
const PAGE = 1024;

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
