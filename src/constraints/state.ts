import { ConstraintError, OptionError } from "../errors.js";
import { derive } from "./derive.js";
import type { Masks } from "./masks.js";
import { has, type Node, type NodeFactory } from "./nodes.js";
import { specialBytes, specialMark, type TokenTrie } from "./token-trie.js";
import type { Constraint, ConstraintState, TokenBytes } from "./types.js";

/** What the states of one constraint share. */
export interface Compiled {
  readonly nodes: NodeFactory;
  readonly masks: Masks;
  readonly trie: TokenTrie;
  readonly vocabulary: TokenBytes;
  readonly stopIds: ReadonlySet<number>;
  readonly root: Node;
}

export class GrammarConstraint implements Constraint {
  readonly #compiled: Compiled;

  constructor(compiled: Compiled) {
    this.#compiled = compiled;
  }

  start(): ConstraintState {
    return new GrammarState(this.#compiled, this.#compiled.root, false);
  }
}

/** Most tokens that `forced` gives at once. */
const mostForced = 64;

class GrammarState implements ConstraintState {
  readonly #compiled: Compiled;
  #node: Node;
  /** A token that ends the text was taken. */
  #over: boolean;

  constructor(compiled: Compiled, node: Node, over: boolean) {
    this.#compiled = compiled;
    this.#node = node;
    this.#over = over;
  }

  allows(token: number): boolean {
    return this.#after(token) !== undefined;
  }

  mask(): Uint32Array {
    const { masks, trie } = this.#compiled;
    const bits = this.#over
      ? new Uint32Array((trie.size + 31) >>> 5)
      : guarded(() => {
          masks.tidy();
          return masks.mask(this.#node);
        });
    if (!this.#over && bits.every((word) => word === 0))
      throw new ConstraintError(
        "The answer cannot go on as it should",
        {},
        "No token of this model's vocabulary begins what has to follow; allow other characters there",
      );
    return bits;
  }

  advance(token: number): void {
    const after = this.#after(token);
    if (after === undefined)
      throw new ConstraintError(`Token ${token} is not allowed here`, {}, "Choose one that `mask` allows");
    if (this.#compiled.stopIds.has(token)) this.#over = true;
    this.#node = after;
    this.#compiled.nodes.tidy();
  }

  read(bytes: Uint8Array): boolean {
    const after = this.#over || bytes.includes(specialMark) ? undefined : this.#follow(bytes);
    if (after) this.#node = after;
    return after !== undefined;
  }

  get complete(): boolean {
    return this.#node.nullable;
  }

  get ended(): boolean {
    return this.#over || this.#node === this.#compiled.nodes.empty;
  }

  forced(): number[] {
    if (this.#over) return [];
    const { nodes, trie } = this.#compiled;
    const bytes: number[] = [];
    let at = this.#node;
    guarded(() => {
      while (bytes.length < mostForced * 4 && !at.nullable) {
        let only = -1;
        let next = at;
        for (let byte = 0; byte < 256; byte++) {
          if (!has(trie.usable, byte)) continue;
          const after = derive(nodes, at, byte);
          if (after === nodes.nothing) continue;
          if (only >= 0) return;
          only = byte;
          next = after;
        }
        if (only < 0) return;
        bytes.push(only);
        at = next;
      }
    });
    return cut(trie, bytes).slice(0, mostForced);
  }

  clone(): ConstraintState {
    return new GrammarState(this.#compiled, this.#node, this.#over);
  }

  /** Where a token leads; undefined when it is not allowed. */
  #after(token: number): Node | undefined {
    const { stopIds, vocabulary } = this.#compiled;
    if (!Number.isInteger(token) || token < 0 || token >= vocabulary.size || this.#over) return undefined;
    if (stopIds.has(token)) return this.#node.nullable ? this.#node : undefined;
    const bytes = vocabulary.bytes(token);
    if (bytes && (bytes.length === 0 || bytes.includes(specialMark))) return undefined;
    return this.#follow(bytes ?? specialBytes(token));
  }

  #follow(bytes: Uint8Array): Node | undefined {
    const { nodes } = this.#compiled;
    return guarded(() => {
      let at = this.#node;
      for (const byte of bytes) {
        at = derive(nodes, at, byte);
        if (at === nodes.nothing) return undefined;
      }
      return at;
    });
  }
}

/** Bytes as the longest tokens that fit, as far as there are such tokens. */
function cut(trie: TokenTrie, text: readonly number[]): number[] {
  const ids: number[] = [];
  for (let at = 0; at < text.length; ) {
    let node = 0;
    let best = -1;
    let length = 0;
    for (let i = at; i < text.length; i++) {
      let child = node + 1;
      const end = trie.ends[node]!;
      while (child < end && trie.bytes[child] !== text[i]) child = trie.ends[child]!;
      if (child >= end) break;
      node = child;
      if (trie.tokens[node]! >= 0) {
        best = trie.tokens[node]!;
        length = i + 1 - at;
      }
    }
    if (best < 0) break;
    ids.push(best);
    at += length;
  }
  return ids;
}

/** An ambiguous grammar can put readings inside each other without end: then JavaScript's stack is what gives out. */
function guarded<Result>(run: () => Result): Result {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new OptionError(
      "The grammar is too ambiguous: readings of the same text nest too deeply",
      {},
      "Write it so that fewer alternatives begin alike",
      { cause },
    );
  }
}
