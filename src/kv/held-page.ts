import type { PagePool, TableEntry } from "./pages.js";

/** Parts of a page: whole keys, values, packed references, and of the first page of a span the merged span. */
export type PagePart = "keys" | "values" | "far" | "merged";

/**
 * What is kept of 64 tokens outside of any session, for a later one that begins alike. Every part has an owner of its own,
 * so that it stays when the session it came from drops it. What a page holds depends on the tokens up to its end, the model
 * and the options of the cache alone.
 */
export class HeldPage {
  readonly #pool: PagePool;
  readonly #parts = new Map<PagePart, TableEntry>();
  #released = false;

  constructor(pool: PagePool) {
    this.#pool = pool;
  }

  /** Bytes this page keeps alive; shared ones count in every owner. */
  get bytes(): number {
    let sum = 0;
    for (const { bytes } of this.#parts.values()) sum += bytes;
    return sum;
  }

  get released(): boolean {
    return this.#released;
  }

  part(name: PagePart): TableEntry | undefined {
    return this.#parts.get(name);
  }

  /** Adds a part, unless it is there already or the page was released. */
  offer(name: PagePart, entry: TableEntry | undefined): void {
    if (!entry || this.#released || this.#parts.has(name)) return;
    this.#pool.retain(entry.address);
    this.#parts.set(name, entry);
  }

  /** Gives up a part: caches that adopt the page then need another. */
  drop(name: PagePart): void {
    const entry = this.#parts.get(name);
    if (!entry) return;
    this.#parts.delete(name);
    this.#pool.release(entry.address);
  }

  /** Gives up everything. Doing it twice is harmless. */
  release(): void {
    this.#released = true;
    for (const name of [...this.#parts.keys()]) this.drop(name);
  }
}
