import type { KeyValueCache } from "../kv/cache.js";
import type { HeldPage } from "../kv/held-page.js";
import { PAGE } from "../kv/layout.js";
import { type PrefixIndex, pageKeys } from "../kv/prefix-index.js";

/** The pages a session has in common with others: it gives those it completes to the index, and begins with known ones. */
export class SharedPages {
  readonly #index: PrefixIndex;
  readonly #cache: KeyValueCache;
  /** Completed pages whose tokens the session does not have yet. */
  readonly #completed: { page: HeldPage; index: number }[] = [];
  /** Keys of the first pages of the session. */
  readonly #keys: string[] = [];
  /** Whether it holds what was saved, maybe under other windows or selection: pages that follow are not what others compute. */
  restored = false;

  constructor(index: PrefixIndex, cache: KeyValueCache) {
    this.#index = index;
    this.#cache = cache;
    cache.onPage = (page, index) => this.#completed.push({ page, index });
  }

  /** The session has these tokens now: completed pages go to the index. */
  offer(ids: readonly number[]): void {
    if (this.restored) this.dispose();
    if (this.#completed.length === 0) return;
    this.#keys.push(...pageKeys(ids.slice(this.#keys.length * PAGE)));
    for (const { page, index } of this.#completed.splice(0)) this.#index.add(this.#keys, index, page);
  }

  /** The session was cut to so many tokens. */
  forget(length: number): void {
    this.#keys.length = Math.min(this.#keys.length, Math.floor(length / PAGE));
    this.restored &&= length > 0;
  }

  /** Tokens of the known beginning of `ids`; the last is not looked for, since its logits are wanted. */
  known(ids: ArrayLike<number>): number {
    return this.#find(ids).length * PAGE;
  }

  /** Begins the empty cache with the known beginning of `ids`. Returns the tokens taken. @throws MemoryError */
  take(ids: ArrayLike<number>): number {
    const pages = this.#find(ids);
    return pages.length > 0 ? this.#cache.adopt(pages) : 0;
  }

  /** Releases what was not offered. */
  dispose(): void {
    for (const { page } of this.#completed.splice(0)) page.release();
  }

  #find(ids: ArrayLike<number>): HeldPage[] {
    return this.#index.find(pageKeys(Array.from(ids).slice(0, -1)));
  }
}
