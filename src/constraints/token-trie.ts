import { type ByteSet, byteSet } from "./nodes.js";
import type { TokenBytes } from "./types.js";

/**
 * Special tokens stand in the trie as this byte, which no UTF-8 contains, and their id in four bytes. Ordinary tokens with
 * this byte are never allowed.
 */
export const specialMark = 0xff;

/** How a special token is written in a grammar. */
export function specialBytes(id: number): Uint8Array {
  return Uint8Array.of(specialMark, id >>> 24, (id >>> 16) & 255, (id >>> 8) & 255, id & 255);
}

/**
 * The bytes of all tokens as a tree, its nodes in the order of a walk: the subtree of node i is i … ends[i] − 1. Node 0
 * is the root.
 */
export class TokenTrie {
  readonly size: number;
  /** The byte that leads to a node. */
  readonly bytes: Uint8Array;
  /** Bytes from the root. */
  readonly depths: Uint16Array;
  readonly ends: Int32Array;
  /** A token that ends at a node, −1 for none. */
  readonly tokens: Int32Array;
  /** Another token with the same bytes, −1 for none; by token. */
  readonly same: Int32Array;
  /** Bytes that occur in tokens. */
  readonly usable: ByteSet;
  /** Most bytes of a token. */
  readonly longest: number;

  constructor(vocabulary: TokenBytes) {
    this.size = vocabulary.size;
    const { size } = this;
    const tree = new Growing();
    const stops = new Set(vocabulary.stopIds);
    this.same = new Int32Array(size).fill(-1);
    let longest = 0;
    for (let id = 0; id < size; id++) {
      const own = stops.has(id) ? undefined : vocabulary.bytes(id);
      if (own === undefined) {
        if (!stops.has(id)) this.#end(tree, tree.insert(specialBytes(id)), id);
      } else if (own.length > 0 && !own.includes(specialMark)) {
        this.#end(tree, tree.insert(own), id);
        longest = Math.max(longest, own.length);
      }
    }
    this.longest = Math.max(longest, 5);
    const { count } = tree;
    this.bytes = new Uint8Array(count);
    this.depths = new Uint16Array(count);
    this.ends = new Int32Array(count);
    this.tokens = new Int32Array(count);
    this.usable = byteSet();
    // Nodes on the way from the root, in the growing tree and here.
    const path: number[] = [];
    const places: number[] = [];
    let next = 0;
    for (let at = 0; at >= 0; ) {
      const byte = tree.bytes[at]!;
      this.bytes[next] = byte;
      this.depths[next] = path.length;
      this.tokens[next] = tree.tokens[at]!;
      if (at > 0) this.usable[byte >>> 5]! |= 1 << (byte & 31);
      path.push(at);
      places.push(next++);
      at = tree.children[at]!;
      while (at < 0 && path.length > 0) {
        at = tree.siblings[path.pop()!]!;
        this.ends[places.pop()!] = next;
      }
    }
  }

  /** Whether some token goes on with `byte` at a node. */
  goesOn(node: number, byte: number): boolean {
    const end = this.ends[node]!;
    for (let child = node + 1; child < end; child = this.ends[child]!) if (this.bytes[child] === byte) return true;
    return false;
  }

  #end(tree: Growing, node: number, id: number): void {
    this.same[id] = tree.tokens[node]!;
    tree.tokens[node] = id;
  }
}

/** A tree to which tokens are added. Children are found by a hash of parent and byte. */
class Growing {
  count = 1;
  bytes = new Uint8Array(1 << 12);
  children = new Int32Array(1 << 12).fill(-1);
  siblings = new Int32Array(1 << 12).fill(-1);
  tokens = new Int32Array(1 << 12).fill(-1);
  #parents = new Int32Array(1 << 12).fill(-1);
  #table = new Int32Array(1 << 13).fill(-1);

  insert(bytes: Uint8Array): number {
    let at = 0;
    for (const byte of bytes) at = this.#child(at, byte);
    return at;
  }

  #child(parent: number, byte: number): number {
    let slot = this.#slot(parent, byte);
    for (let node = this.#table[slot]!; node >= 0; node = this.#table[slot]!) {
      if (this.#parents[node] === parent && this.bytes[node] === byte) return node;
      slot = (slot + 1) & (this.#table.length - 1);
    }
    if (this.count === this.bytes.length) {
      this.#grow();
      return this.#child(parent, byte);
    }
    const node = this.count++;
    this.#table[slot] = node;
    this.#parents[node] = parent;
    this.bytes[node] = byte;
    this.siblings[node] = this.children[parent]!;
    this.children[parent] = node;
    return node;
  }

  #slot(parent: number, byte: number): number {
    const hash = Math.imul(parent * 256 + byte, 0x9e3779b1);
    return (hash ^ (hash >>> 15)) & (this.#table.length - 1);
  }

  #grow(): void {
    const wider = (from: Int32Array) => {
      const to = new Int32Array(from.length * 2).fill(-1);
      to.set(from);
      return to;
    };
    const bytes = new Uint8Array(this.bytes.length * 2);
    bytes.set(this.bytes);
    this.bytes = bytes;
    this.children = wider(this.children);
    this.siblings = wider(this.siblings);
    this.tokens = wider(this.tokens);
    this.#parents = wider(this.#parents);
    this.#table = new Int32Array(this.#table.length * 2).fill(-1);
    for (let node = 1; node < this.count; node++) {
      let slot = this.#slot(this.#parents[node]!, this.bytes[node]!);
      while (this.#table[slot]! >= 0) slot = (slot + 1) & (this.#table.length - 1);
      this.#table[slot] = node;
    }
  }
}
