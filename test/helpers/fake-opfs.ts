import type { Folder } from "#src/hub/opfs-files.js";

/** A folder of the origin private file system as far as it is used here; `quota`: bytes after which writes fail. */
export class FakeFolder implements Folder {
  readonly files = new Map<string, Uint8Array>();
  readonly #open = new Set<string>();
  quota = Number.POSITIVE_INFINITY;

  async getFileHandle(name: string, options?: { create: boolean }) {
    if (!this.files.has(name) && !options?.create) throw new DOMException("no such file", "NotFoundError");
    if (!this.files.has(name)) this.files.set(name, new Uint8Array(0));
    return {
      getFile: async () => new File([(this.files.get(name) ?? new Uint8Array(0)).slice()], name),
      createSyncAccessHandle: async () => {
        if (this.#open.has(name)) throw new DOMException("it is open", "NoModificationAllowedError");
        this.#open.add(name);
        const bytes = () => this.files.get(name) as Uint8Array;
        return {
          getSize: () => bytes().length,
          read: (into: Uint8Array, { at }: { at: number }) => {
            const part = bytes().subarray(at, at + into.length);
            into.set(part);
            return part.length;
          },
          write: (data: Uint8Array, { at }: { at: number }) => {
            const used = [...this.files.values()].reduce((sum, each) => sum + each.length, 0);
            if (used + data.length > this.quota) throw new DOMException("full", "QuotaExceededError");
            const grown = new Uint8Array(Math.max(bytes().length, at + data.length));
            grown.set(bytes());
            grown.set(data, at);
            this.files.set(name, grown);
            return data.length;
          },
          truncate: (size: number) => {
            const cut = new Uint8Array(size);
            cut.set(bytes().subarray(0, size));
            this.files.set(name, cut);
          },
          flush: () => {},
          close: () => void this.#open.delete(name),
        };
      },
    };
  }

  async removeEntry(name: string): Promise<void> {
    if (!this.files.delete(name)) throw new DOMException("no such file", "NotFoundError");
  }

  async *entries(): AsyncGenerator<[string, unknown]> {
    for (const name of [...this.files.keys()]) yield [name, undefined];
  }
}

/** Puts a `navigator` with locks and storage in place of this runtime's. */
export function fakeNavigator(free = 1e9): void {
  const queues = new Map<string, Promise<unknown>>();
  type Hold = (lock: object | null) => unknown;
  const locks = {
    async request(name: string, options: { ifAvailable?: boolean; signal?: AbortSignal }, hold: Hold) {
      const before = queues.get(name);
      if (before && options.ifAvailable) return hold(null);
      const mine = (async () => {
        const stop = new Promise<never>((_, reject) =>
          options.signal?.addEventListener("abort", () => reject(options.signal?.reason)),
        );
        await Promise.race([before, stop]);
        options.signal?.throwIfAborted();
        return hold({});
      })();
      // Who gives up must not let the next one pass before the holder is done.
      const quiet = Promise.all([before, mine.catch(() => {})]);
      queues.set(name, quiet);
      try {
        return await mine;
      } finally {
        if (queues.get(name) === quiet) queues.delete(name);
      }
    },
  };
  const storage = { estimate: async () => ({ quota: free, usage: 0 }) };
  Object.defineProperty(globalThis, "navigator", { value: { locks, storage }, configurable: true });
}
