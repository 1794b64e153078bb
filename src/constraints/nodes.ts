import { OptionError } from "../errors.js";
import type { Automaton } from "./automaton.js";
import { limits } from "./limits.js";

/** Set of byte values: bit b of word b >>> 5. */
export type ByteSet = Uint32Array;

export function byteSet(...bytes: number[]): ByteSet {
  const set = new Uint32Array(8);
  for (const byte of bytes) set[byte >>> 5]! |= 1 << (byte & 31);
  return set;
}

/** What a leaf of the grammar is made of, or how parts are put together. */
export type Shape =
  | { readonly kind: "nothing" }
  | { readonly kind: "empty" }
  | { readonly kind: "set"; readonly set: ByteSet }
  | { readonly kind: "literal"; readonly bytes: Uint8Array; readonly at: number; readonly literal: number }
  | { readonly kind: "sequence"; readonly first: Node; readonly rest: Node }
  | { readonly kind: "choice"; readonly items: readonly Node[] }
  | { readonly kind: "repeat"; readonly item: Node; readonly min: number; readonly max: number }
  | { readonly kind: "rule"; readonly rule: Rule }
  | { readonly kind: "automaton"; readonly automaton: Automaton; readonly state: number; readonly json: boolean };

/** A named part of a grammar, which may contain itself. */
export interface Rule {
  readonly name: string;
  body: Node | undefined;
}

/**
 * A set of texts (of bytes): what may still follow. Equal ones are the same object, so what is worked out for a node is
 * worked out once. Never changed, but for what is remembered about it.
 */
export class Node {
  /** The empty text is one of them. */
  nullable = false;
  /** There is no text at all. */
  dead = false;
  /** What follows each byte, as far as it was asked for: byte b at [b >>> 4][b & 15]. */
  next: ((Node | undefined)[] | undefined)[] | undefined;
  /** What masks remember. */
  memory: unknown;

  constructor(
    readonly id: number,
    readonly shape: Shape,
  ) {}
}

/** Makes nodes; equal ones are made once. All grammars over one vocabulary share it, and with it what they have in common. */
export class NodeFactory {
  readonly nothing: Node;
  readonly empty: Node;
  /** Bytes some token can write. */
  readonly #usable: ByteSet;
  readonly #known = new Map<string, Node>();
  /** While a grammar is being made: its new nodes, in order. Its rules have no bodies yet, so nothing is known of them. */
  #made: Node[] | undefined;
  #ids = 0;
  #literals = 0;
  readonly #automata = new WeakMap<Automaton, number>();
  #automataCount = 0;

  constructor(usable: ByteSet) {
    this.#usable = usable;
    this.nothing = this.#node("nothing", { kind: "nothing" });
    this.empty = this.#node("empty", { kind: "empty" });
  }

  /** How many nodes are kept. */
  get size(): number {
    return this.#known.size;
  }

  set(bytes: ByteSet): Node {
    const set = bytes.map((word, i) => word & this.#usable[i]!);
    return set.some((word) => word !== 0) ? this.#node(`s${set.join()}`, { kind: "set", set }) : this.nothing;
  }

  literal(bytes: Uint8Array): Node {
    if (bytes.length === 0) return this.empty;
    if (bytes.some((byte) => !has(this.#usable, byte))) return this.nothing;
    return this.#node(`l${bytes.join()}`, { kind: "literal", bytes, at: 0, literal: this.#literals++ });
  }

  text(text: string): Node {
    return this.literal(new TextEncoder().encode(text));
  }

  /** The rest of a literal from the byte `at` on. */
  rest({ bytes, literal }: Shape & { kind: "literal" }, at: number): Node {
    if (at === bytes.length) return this.empty;
    return this.#node(`r${literal},${at}`, { kind: "literal", bytes, at, literal });
  }

  sequence(...items: Node[]): Node {
    let node = items.at(-1) ?? this.empty;
    for (let i = items.length - 2; i >= 0; i--) node = this.#pair(items[i]!, node);
    return node;
  }

  choice(...items: Node[]): Node {
    const set = new Set<Node>();
    for (const item of items) {
      if (item.shape.kind === "choice") for (const inner of item.shape.items) set.add(inner);
      else if (item !== this.nothing && !(item.dead && !this.#made)) set.add(item);
    }
    const members = [...set];
    if (members.length <= 1) return members[0] ?? this.nothing;
    if (members.length > limits.readings && !this.#made)
      throw new OptionError(
        `The grammar is too ambiguous: the same text can be read in more than ${limits.readings} ways`,
        {},
        "Write it so that fewer alternatives begin alike",
      );
    members.sort((a, b) => a.id - b.id);
    return this.#node(`c${members.map(({ id }) => id).join()}`, { kind: "choice", items: members });
  }

  optional(item: Node): Node {
    return this.choice(this.empty, item);
  }

  repeat(item: Node, min: number, max: number): Node {
    if (min > max) return this.nothing;
    if (max === 0 || item === this.empty) return this.empty;
    if (item === this.nothing) return min === 0 ? this.empty : this.nothing;
    if (min === 1 && max === 1) return item;
    return this.#node(`*${item.id},${min},${max}`, { kind: "repeat", item, min, max });
  }

  rule(name: string): Node & { readonly shape: { kind: "rule"; rule: Rule } } {
    const rule: Rule = { name, body: undefined };
    return this.#make({ kind: "rule", rule }) as Node & { readonly shape: { kind: "rule"; rule: Rule } };
  }

  /** What `automaton` accepts from `state` on; with `json` written as inside a JSON string, characters in shortest form. */
  automaton(automaton: Automaton, state = 0, json = false): Node {
    const described = automaton.states[state];
    if (!described) return this.nothing;
    if (described.edges.length === 0) return this.empty;
    let number = this.#automata.get(automaton);
    if (number === undefined) {
      number = this.#automataCount++;
      this.#automata.set(automaton, number);
    }
    return this.#node(`a${number},${state},${json}`, { kind: "automaton", automaton, state, json });
  }

  /** Begins a grammar. */
  begin(): void {
    this.#made = [];
  }

  /** Works out, through all rules, which nodes of the grammar have no text and which have the empty one. */
  finish(): void {
    const nodes = this.#made ?? [];
    for (const node of nodes) node.dead = node.shape.kind !== "empty";
    for (let changed = true; changed; ) {
      changed = false;
      for (const node of nodes) {
        const dead = node.dead && isDead(node.shape);
        const nullable = node.nullable || isNullable(node.shape);
        changed ||= dead !== node.dead || nullable !== node.nullable;
        node.dead = dead;
        node.nullable = nullable;
      }
    }
    this.#made = undefined;
  }

  /** Forgets what can be worked out again, when there is much of it. Nodes in use stay as they are. */
  tidy(): void {
    if (this.#known.size < limits.nodes) return;
    for (const node of this.#known.values()) {
      node.next = undefined;
      node.memory = undefined;
    }
    this.#known.clear();
    for (const node of [this.nothing, this.empty]) this.#known.set(node.shape.kind, node);
  }

  #pair(first: Node, rest: Node): Node {
    if (first === this.nothing || rest === this.nothing) return this.nothing;
    if (!this.#made && (first.dead || rest.dead)) return this.nothing;
    if (first === this.empty) return rest;
    if (rest === this.empty) return first;
    if (first.shape.kind === "sequence") return this.#pair(first.shape.first, this.#pair(first.shape.rest, rest));
    return this.#node(`${first.id},${rest.id}`, { kind: "sequence", first, rest });
  }

  #node(key: string, shape: Shape): Node {
    let node = this.#known.get(key);
    if (!node) {
      node = this.#make(shape);
      this.#known.set(key, node);
    }
    return node;
  }

  #make(shape: Shape): Node {
    const node = new Node(this.#ids++, shape);
    if (this.#made) this.#made.push(node);
    else {
      node.dead = isDead(shape);
      node.nullable = isNullable(shape);
    }
    return node;
  }
}

export function has(set: ByteSet, byte: number): boolean {
  return ((set[byte >>> 5]! >>> (byte & 31)) & 1) === 1;
}

function isDead(shape: Shape): boolean {
  switch (shape.kind) {
    case "nothing":
      return true;
    case "sequence":
      return shape.first.dead || shape.rest.dead;
    case "choice":
      return shape.items.every((item) => item.dead);
    case "repeat":
      return shape.min > 0 && shape.item.dead;
    case "rule":
      return shape.rule.body === undefined || shape.rule.body.dead;
    default:
      return false;
  }
}

function isNullable(shape: Shape): boolean {
  switch (shape.kind) {
    case "empty":
      return true;
    case "sequence":
      return shape.first.nullable && shape.rest.nullable;
    case "choice":
      return shape.items.some((item) => item.nullable);
    case "repeat":
      return shape.min === 0 || shape.item.nullable;
    case "rule":
      return shape.rule.body?.nullable ?? false;
    case "automaton":
      return shape.automaton.states[shape.state]!.accepts;
    default:
      return false;
  }
}
