import { derive } from "./derive.js";
import { limits } from "./limits.js";
import type { Node, NodeFactory } from "./nodes.js";
import type { Profile } from "./profile.js";
import { RepeatTable } from "./repeat-table.js";
import type { TokenTrie } from "./token-trie.js";

interface Memory {
  mask?: Uint32Array;
  profile?: Profile;
  /** What a repetition of this node lets through, for all its counts. */
  table?: RepeatTable | null;
}

/** Makes the masks of one grammar over one vocabulary, and remembers them by node. What is remembered never changes a mask. */
export class Masks {
  readonly #nodes: NodeFactory;
  readonly #trie: TokenTrie;
  readonly #stopIds: readonly number[];
  readonly #words: number;
  /** Nodes on the way down the trie, by depth. */
  readonly #path: Node[];
  /** Nodes with something remembered. */
  #kept: Node[] = [];
  #keptBytes = 0;

  constructor(nodes: NodeFactory, trie: TokenTrie, stopIds: readonly number[]) {
    this.#nodes = nodes;
    this.#trie = trie;
    this.#stopIds = stopIds.filter((id) => id < trie.size);
    this.#words = (trie.size + 31) >>> 5;
    this.#path = new Array(trie.longest + 2);
  }

  /** Tokens that may follow at `node`, the ending ones included where the text may end. */
  mask(node: Node): Uint32Array {
    const memory = this.#memory(node);
    if (memory.mask) return memory.mask;
    const bits = new Uint32Array(this.#words);
    this.#add(bits, node);
    if (node.nullable) for (const id of this.#stopIds) bits[id >>> 5]! |= 1 << (id & 31);
    memory.mask = bits;
    this.#keptBytes += bits.byteLength;
    return bits;
  }

  /** Forgets masks when they take too much memory. */
  tidy(): void {
    if (this.#keptBytes < limits.maskBytes) return;
    for (const node of this.#kept) node.memory = undefined;
    this.#kept = [];
    this.#keptBytes = 0;
  }

  #memory(node: Node): Memory {
    if (!node.memory) {
      node.memory = {} satisfies Memory;
      this.#kept.push(node);
    }
    return node.memory as Memory;
  }

  /** Adds the tokens that may follow at `node`, those that end a text left out. */
  #add(bits: Uint32Array, node: Node): void {
    for (let at = node; ; ) {
      const { shape } = at;
      if (at.dead) return;
      if (shape.kind === "choice") {
        for (const item of shape.items) this.#add(bits, item);
        return;
      }
      const head = shape.kind === "sequence" ? shape.first : at;
      const profile = this.#profile(head);
      const { inside } = profile;
      for (let i = 0; i < bits.length; i++) bits[i]! |= inside[i]!;
      if (shape.kind !== "sequence") return;
      for (const exit of profile.exits(firstByte(shape.rest))) this.#walk(exit, shape.rest, bits);
      if (!head.nullable) return;
      at = shape.rest;
    }
  }

  #profile(head: Node): Profile {
    const memory = this.#memory(head);
    if (memory.profile) return memory.profile;
    if (head.shape.kind === "repeat") {
      const { item, min, max } = head.shape;
      const about = this.#memory(item);
      if (about.table === undefined) {
        about.table = RepeatTable.create(this.#nodes, this.#trie, item) ?? null;
        this.#keptBytes += about.table?.bytes ?? 0;
      }
      // Not remembered with the node: it is the table that has it.
      if (about.table) return about.table.profile(min, max);
    }
    const inside = new Uint32Array(this.#words);
    const exits: number[] = [];
    this.#walk(0, head, inside, exits);
    const lists = new Map([[-1, Int32Array.from(exits)]]);
    const profile: Profile = {
      inside,
      exits: (byte) => {
        let list = lists.get(byte);
        if (!list) {
          list = lists.get(-1)!.filter((at) => this.#trie.goesOn(at, byte));
          lists.set(byte, list);
        }
        return list;
      },
    };
    memory.profile = profile;
    this.#keptBytes += inside.byteLength + exits.length * 4;
    return profile;
  }

  /** Adds the tokens below `from` whose bytes from there on may follow at `node`; notes where `node` may be left. */
  #walk(from: number, node: Node, bits: Uint32Array, exits?: number[]): void {
    const { bytes, depths, ends, tokens, same } = this.#trie;
    const nodes = this.#nodes;
    const path = this.#path;
    const end = ends[from]!;
    path[depths[from]!] = node;
    for (let i = from + 1; i < end; ) {
      const depth = depths[i]!;
      const before = path[depth - 1]!;
      const byte = bytes[i]!;
      const after = before.next?.[byte >>> 4]?.[byte & 15] ?? derive(nodes, before, byte);
      if (after === nodes.nothing) {
        i = ends[i]!;
        continue;
      }
      path[depth] = after;
      for (let id = tokens[i]!; id >= 0; id = same[id]!) bits[id >>> 5]! |= 1 << (id & 31);
      if (exits && after.nullable && ends[i]! > i + 1) exits.push(i);
      i++;
    }
  }
}

/** The byte with which a node begins, −1 where that may be several. */
function firstByte({ shape }: Node): number {
  const first = shape.kind === "sequence" ? shape.first.shape : shape;
  return first.kind === "literal" ? first.bytes[first.at]! : -1;
}
