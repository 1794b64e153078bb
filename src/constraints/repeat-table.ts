import { derive } from "./derive.js";
import type { Node, NodeFactory } from "./nodes.js";
import type { Profile } from "./profile.js";
import type { TokenTrie } from "./token-trie.js";

/**
 * What repetitions of one item let through, for every count at once: how many items each token touches, and how many are
 * whole at each place of the trie. Without it, every position of a string with a longest length would walk the whole
 * trie. Only for items whose texts have one end: where it is always clear how many items a text is.
 */
export class RepeatTable {
  readonly #words: number;
  /** Tokens by the number of items they touch. */
  readonly #touching: number[][];
  /** Unions of the first of these. */
  readonly #masks: Uint32Array[] = [];
  readonly #trie: TokenTrie;
  /** Places in the trie by the number of whole items, in all and by a byte some token goes on with. */
  readonly #exits: number[][];
  readonly #lists = new Map<number, { places: Int32Array; starts: Int32Array }>();

  private constructor(trie: TokenTrie, touching: number[][], exits: number[][]) {
    this.#trie = trie;
    this.#words = (trie.size + 31) >>> 5;
    this.#touching = touching;
    this.#exits = exits;
  }

  /** Undefined when it is not always clear how many items a text is. */
  static create(nodes: NodeFactory, trie: TokenTrie, item: Node): RepeatTable | undefined {
    if (item.nullable) return undefined;
    const { bytes, depths, ends, tokens, same } = trie;
    const loop = nodes.repeat(item, 0, Number.POSITIVE_INFINITY);
    const touching: number[][] = [];
    const exits: number[][] = [];
    const path: Node[] = [loop];
    const counts: number[] = [0];
    for (let i = 1; i < bytes.length; ) {
      const depth = depths[i]!;
      const after = derive(nodes, path[depth - 1]!, bytes[i]!);
      if (after === nodes.nothing) {
        i = ends[i]!;
        continue;
      }
      const between = after === loop;
      if (!between && !insideItem(after, loop)) return undefined;
      const whole = counts[depth - 1]! + (between ? 1 : 0);
      path[depth] = after;
      counts[depth] = whole;
      const touched = whole + (between ? 0 : 1);
      for (let id = tokens[i]!; id >= 0; id = same[id]!) {
        while (touching.length <= touched) touching.push([]);
        touching[touched]!.push(id);
      }
      if (between && ends[i]! > i + 1) {
        while (exits.length <= whole) exits.push([]);
        exits[whole]!.push(i);
      }
      i++;
    }
    return new RepeatTable(trie, touching, exits);
  }

  /** Bytes this takes, about. */
  get bytes(): number {
    return this.#touching.length * this.#words * 4 + this.#trie.bytes.length * 8;
  }

  profile(min: number, max: number): Profile {
    return {
      inside: this.#upTo(Math.min(max, this.#touching.length - 1)),
      exits: (byte) => {
        const { places, starts } = this.#list(byte);
        const last = starts.length - 1;
        return places.subarray(starts[Math.min(min, last)], starts[Math.min(max + 1, last)]);
      },
    };
  }

  #list(byte: number): { places: Int32Array; starts: Int32Array } {
    let list = this.#lists.get(byte);
    if (!list) {
      const kept = byte < 0 ? this.#exits : this.#exits.map((all) => all.filter((at) => this.#trie.goesOn(at, byte)));
      const starts = new Int32Array(kept.length + 1);
      kept.forEach((all, i) => {
        starts[i + 1] = starts[i]! + all.length;
      });
      list = { places: Int32Array.from(kept.flat()), starts };
      this.#lists.set(byte, list);
    }
    return list;
  }

  /** Tokens that touch at most `count` items. */
  #upTo(count: number): Uint32Array {
    for (let next = this.#masks.length; next <= count; next++) {
      const mask = new Uint32Array(this.#words);
      if (next > 0) mask.set(this.#masks[next - 1]!);
      for (const id of this.#touching[next]!) mask[id >>> 5]! |= 1 << (id & 31);
      this.#masks.push(mask);
    }
    return this.#masks[count] ?? new Uint32Array(this.#words);
  }
}

/** Whether a node is the rest of one item, which is not empty, and then the loop: so inside an item there is one way on. */
function insideItem(node: Node, loop: Node): boolean {
  let at = node;
  let open = false;
  while (at.shape.kind === "sequence") {
    open ||= !at.shape.first.nullable;
    at = at.shape.rest;
  }
  return open && at === loop;
}
