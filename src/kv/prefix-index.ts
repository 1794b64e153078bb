import type { HeldPage } from "./held-page.js";
import { PAGE } from "./layout.js";

interface Node {
  readonly parent: Node | undefined;
  readonly key: string;
  readonly page: HeldPage | undefined;
  readonly children: Map<string, Node>;
  /** Grows with every use. */
  used: number;
}

/**
 * Pages of the caches of one model and one set of cache options by the tokens they stand for: a tree in which every step
 * is 64 tokens. A sequence that begins like an earlier one, open or not, takes its pages. What was not used for longest
 * is given up when the pages take more than `budget` bytes.
 */
export class PrefixIndex {
  /** Most bytes of the pages. */
  readonly budget: number;
  readonly #root: Node = { parent: undefined, key: "", page: undefined, children: new Map(), used: 0 };
  readonly #nodes = new Set<Node>();
  #clock = 0;

  /** @param budget bytes; 0 keeps nothing */
  constructor(budget: number) {
    this.budget = budget;
  }

  /** Bytes the pages in the index keep alive, also those that open sessions share. */
  get bytes(): number {
    let sum = 0;
    for (const { page } of this.#nodes) sum += page?.bytes ?? 0;
    return sum;
  }

  /** The pages of the longest known beginning of a sequence. @param keys of its whole pages, see `pageKeys` */
  find(keys: readonly string[]): HeldPage[] {
    const pages: HeldPage[] = [];
    this.#clock++;
    let node: Node | undefined = this.#root;
    for (const key of keys) {
      node = node.children.get(key);
      if (!node?.page) break;
      node.used = this.#clock;
      pages.push(node.page);
    }
    return pages;
  }

  /**
   * Takes over page `index` of a sequence, or releases it: when it is known, when those before it are not, or when there
   * is no room.
   */
  add(keys: readonly string[], index: number, page: HeldPage): void {
    let node: Node | undefined = this.#root;
    for (let i = 0; i < index; i++) node = node?.children.get(keys[i] as string);
    const key = keys[index];
    if (this.budget === 0 || !node || key === undefined || node.children.has(key)) {
      page.release();
      return;
    }
    const added: Node = { parent: node, key, page, children: new Map(), used: ++this.#clock };
    for (let above: Node | undefined = node; above; above = above.parent) above.used = this.#clock;
    node.children.set(key, added);
    this.#nodes.add(added);
    for (let bytes = this.bytes; bytes > this.budget; bytes = this.bytes) if (!this.evict()) return;
  }

  /** Gives up the page that was not used for longest. @returns false when there is none */
  evict(): boolean {
    let oldest: Node | undefined;
    for (const node of this.#nodes) if (node.children.size === 0 && (!oldest || node.used < oldest.used)) oldest = node;
    if (!oldest) return false;
    oldest.parent?.children.delete(oldest.key);
    this.#nodes.delete(oldest);
    oldest.page?.release();
    return true;
  }

  /** Gives everything up. */
  clear(): void {
    for (const { page } of this.#nodes) page?.release();
    this.#nodes.clear();
    this.#root.children.clear();
  }
}

/** Keys of the whole pages of a sequence: of `ids`, then of `more`. */
export function pageKeys(ids: ArrayLike<number>, more: ArrayLike<number> = []): string[] {
  const all = [...Array.from(ids), ...Array.from(more)];
  const whole = Math.floor(all.length / PAGE);
  return Array.from({ length: whole }, (_, i) => all.slice(i * PAGE, (i + 1) * PAGE).join());
}
