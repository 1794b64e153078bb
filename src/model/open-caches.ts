import type { KeyValueCache } from "../kv/cache.js";
import type { CacheDescriptor } from "../kv/descriptor.js";

/** Caches that are new since the last pass, and those that are gone. */
export interface CacheChanges {
  opened: { cache: number; descriptor: CacheDescriptor }[];
  closed: number[];
}

/** The numbers the threads know caches by. They hear of changes with the next pass: to wake them for each takes long. */
export class OpenCaches {
  readonly #numbers = new Map<KeyValueCache, number>();
  #next = 1;
  #changes: CacheChanges | undefined;

  /** The number of a cache, which is opened if need be. */
  numberOf(cache: KeyValueCache): number {
    let number = this.#numbers.get(cache);
    if (number === undefined) {
      number = this.#next++;
      this.#numbers.set(cache, number);
      this.#changed().opened.push({ cache: number, descriptor: cache.descriptor });
    }
    return number;
  }

  close(cache: KeyValueCache): void {
    const number = this.#numbers.get(cache);
    if (number === undefined) return;
    this.#numbers.delete(cache);
    this.#changed().closed.push(number);
  }

  /** What the threads do not know yet; they are told by whoever asks. */
  takeChanges(): CacheChanges | undefined {
    const changes = this.#changes;
    this.#changes = undefined;
    return changes;
  }

  #changed(): CacheChanges {
    this.#changes ??= { opened: [], closed: [] };
    return this.#changes;
  }
}
