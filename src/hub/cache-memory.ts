import { SourceError } from "../errors.js";
import type { ByteSource } from "../formats/source.js";
import { bytesSource } from "../formats/sources/bytes.js";
import { unlessAborted } from "../platform/waiting.js";
import type { CachedFile, CachedRepository, ModelCache, PartialBlob } from "./cache.js";
import { safePath } from "./paths.js";

interface Repository {
  refs: Map<string, string>;
  notes: Map<string, string>;
  blobs: Map<string, Uint8Array>;
  partials: Map<string, Uint8Array>;
  snapshots: Map<string, Map<string, string>>;
}

/** A cache that lives as long as the process: for tests, and where nothing can be kept. */
export function memoryCache(name = "memory"): ModelCache {
  return new MemoryCache(name);
}

class MemoryCache implements ModelCache {
  readonly name: string;
  readonly #repositories = new Map<string, Repository>();
  readonly #locks = new Map<string, Promise<void>>();

  constructor(name: string) {
    this.name = name;
  }

  async readRef(key: string, revision: string): Promise<string | undefined> {
    return this.#repositories.get(key)?.refs.get(revision);
  }

  async writeRef(key: string, revision: string, commit: string): Promise<void> {
    this.#of(key).refs.set(revision, commit);
  }

  async files(key: string, commit: string): Promise<CachedFile[]> {
    const repository = this.#repositories.get(key);
    return [...(repository?.snapshots.get(commit) ?? [])]
      .map(([path, oid]) => ({ path, oid, size: repository?.blobs.get(oid)?.length ?? -1 }))
      .filter(({ size }) => size >= 0)
      .sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  async readNote(key: string, name: string): Promise<string | undefined> {
    return this.#repositories.get(key)?.notes.get(name);
  }

  async writeNote(key: string, name: string, text: string | undefined): Promise<void> {
    if (text === undefined) this.#repositories.get(key)?.notes.delete(name);
    else this.#of(key).notes.set(name, text);
  }

  async blobSize(key: string, oid: string): Promise<number | undefined> {
    return this.#repositories.get(key)?.blobs.get(oid)?.length;
  }

  async removeBlob(key: string, oid: string): Promise<void> {
    this.#repositories.get(key)?.blobs.delete(oid);
  }

  async openBlob(key: string, oid: string): Promise<ByteSource | undefined> {
    const bytes = this.#repositories.get(key)?.blobs.get(oid);
    return bytes && bytesSource(bytes, `${this.name}/${key}/${oid}`);
  }

  async partial(key: string, oid: string): Promise<PartialBlob> {
    const { partials, blobs } = this.#of(key);
    let buffer = partials.get(oid) ?? new Uint8Array(0);
    let size = buffer.length;
    return {
      get size() {
        return size;
      },
      async read(offset, length) {
        if (offset + length > size) throw new SourceError("The file became shorter while it was read", { file: oid });
        return buffer.slice(offset, offset + length);
      },
      async append(bytes) {
        if (size + bytes.length > buffer.length) {
          const larger = new Uint8Array(Math.max(buffer.length * 2, size + bytes.length));
          larger.set(buffer.subarray(0, size));
          buffer = larger;
        }
        buffer.set(bytes, size);
        size += bytes.length;
      },
      async truncate(length) {
        size = Math.min(size, length);
      },
      async finish(name) {
        blobs.set(name, buffer.slice(0, size));
        partials.delete(oid);
      },
      async close() {
        partials.set(oid, buffer.slice(0, size));
      },
    };
  }

  async link(key: string, commit: string, path: string, oid: string): Promise<void> {
    if (!safePath(path)) throw new SourceError("A file of the repository has an impossible name", { file: path });
    const { snapshots } = this.#of(key);
    const files = snapshots.get(commit) ?? new Map();
    snapshots.set(commit, files.set(path, oid));
  }

  async lock(key: string, oid: string, options: Parameters<ModelCache["lock"]>[2]): Promise<() => Promise<void>> {
    const name = `${key}/${oid}`;
    let waited = false;
    for (;;) {
      options.signal?.throwIfAborted();
      const held = this.#locks.get(name);
      if (!held) break;
      if (!waited) options.onWait?.();
      waited = true;
      await unlessAborted(held, options.signal);
    }
    let release = () => {};
    this.#locks.set(
      name,
      new Promise((resolve) => {
        release = resolve;
      }),
    );
    return async () => {
      this.#locks.delete(name);
      release();
    };
  }

  async open(key: string, commit: string, path: string): Promise<ByteSource | undefined> {
    const repository = this.#repositories.get(key);
    const oid = repository?.snapshots.get(commit)?.get(path);
    const bytes = oid === undefined ? undefined : repository?.blobs.get(oid);
    return bytes && bytesSource(bytes, this.location(key, commit, path));
  }

  location(key: string, commit: string, path: string): string {
    return `${this.name}/${key}/${commit}${path ? `/${path}` : ""}`;
  }

  async freeBytes(): Promise<number | undefined> {
    return undefined;
  }

  async list(): Promise<CachedRepository[]> {
    const found: CachedRepository[] = [];
    for (const [key, { refs, snapshots, partials }] of this.#repositories) {
      const commits = new Map<string, CachedFile[]>();
      for (const commit of snapshots.keys()) commits.set(commit, await this.files(key, commit));
      const sizes = new Map([...partials].map(([oid, bytes]) => [oid, bytes.length]));
      found.push({ key, refs: new Map(refs), commits, partials: sizes });
    }
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async remove(key: string, what?: Parameters<ModelCache["remove"]>[1]): Promise<number> {
    const repository = this.#repositories.get(key);
    if (!repository) return 0;
    const sizeOf = () =>
      [...repository.blobs.values(), ...repository.partials.values()].reduce((n, b) => n + b.length, 0);
    const before = sizeOf();
    for (const oid of what?.partials ?? []) {
      repository.partials.delete(oid);
      repository.notes.delete(`${oid}.etag`);
    }
    for (const { commit, path } of what?.files ?? []) {
      repository.snapshots.get(commit)?.delete(path);
      if (repository.snapshots.get(commit)?.size === 0) repository.snapshots.delete(commit);
    }
    if (!what || (repository.snapshots.size === 0 && repository.partials.size === 0)) {
      this.#repositories.delete(key);
      return before;
    }
    for (const [ref, commit] of repository.refs) if (!repository.snapshots.has(commit)) repository.refs.delete(ref);
    const used = new Set([...repository.snapshots.values()].flatMap((files) => [...files.values()]));
    for (const oid of repository.blobs.keys()) if (!used.has(oid)) repository.blobs.delete(oid);
    return before - sizeOf();
  }

  #of(key: string): Repository {
    const found = this.#repositories.get(key) ?? {
      refs: new Map(),
      notes: new Map(),
      blobs: new Map(),
      partials: new Map(),
      snapshots: new Map(),
    };
    this.#repositories.set(key, found);
    return found;
  }
}
