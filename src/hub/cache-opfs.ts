import { SourceError } from "../errors.js";
import type { ByteSource } from "../formats/source.js";
import { blobSource } from "../formats/sources/blob.js";
import type { CachedFile, CachedRepository, ModelCache, PartialBlob } from "./cache.js";
import { type Folder, openPartial, readTextFile, storageError, writeTextFile } from "./opfs-files.js";
import { safePath } from "./paths.js";

/** What the store knows of a repository. */
interface Repository {
  refs: Record<string, string>;
  notes: Record<string, string>;
  /** Contents by path, by commit. */
  snapshots: Record<string, Record<string, string>>;
}

/** Everything but the bytes. Written whole, in two places by turns, so that one is always sound. */
interface Index {
  turn: number;
  repositories: Record<string, Repository>;
  /** Complete contents by their hash: name of the file and its bytes. */
  blobs: Record<string, { file: string; size: number }>;
}

const FOLDER = "deltallm";
const INDEX = ["index-0.json", "index-1.json"] as const;

/** A store of a page's origin; undefined where the browser has none, as in some private windows. */
export async function opfsCache(): Promise<ModelCache | undefined> {
  try {
    const root = await navigator.storage.getDirectory();
    const folder = (await root.getDirectoryHandle(FOLDER, { create: true })) as unknown as Folder;
    return new OpfsCache(folder);
  } catch {
    return undefined;
  }
}

/**
 * The origin private file system: a file per content, named in an index. A content is complete when the index says so;
 * a file that the index does not know is a download that was interrupted.
 */
export class OpfsCache implements ModelCache {
  readonly name = "OPFS";
  readonly #folder: Folder;

  constructor(folder: Folder) {
    this.#folder = folder;
  }

  async readRef(key: string, revision: string): Promise<string | undefined> {
    return (await this.#index()).repositories[key]?.refs[revision];
  }

  writeRef(key: string, revision: string, commit: string): Promise<void> {
    return this.#change((index) => {
      repositoryIn(index, key).refs[revision] = commit;
    });
  }

  async files(key: string, commit: string): Promise<CachedFile[]> {
    return filesIn(await this.#index(), key, commit);
  }

  async readNote(key: string, name: string): Promise<string | undefined> {
    return (await this.#index()).repositories[key]?.notes[name];
  }

  writeNote(key: string, name: string, text: string | undefined): Promise<void> {
    return this.#change((index) => {
      if (text !== undefined) repositoryIn(index, key).notes[name] = text;
      else delete index.repositories[key]?.notes[name];
    });
  }

  async blobSize(_key: string, oid: string): Promise<number | undefined> {
    const blob = (await this.#index()).blobs[oid];
    if (!blob) return undefined;
    const file = await this.#file(blob.file);
    return file && file.size === blob.size ? blob.size : undefined;
  }

  async removeBlob(_key: string, oid: string): Promise<void> {
    let file: string | undefined;
    await this.#change((index) => {
      file = index.blobs[oid]?.file;
      delete index.blobs[oid];
    });
    if (file !== undefined) await this.#folder.removeEntry(file).catch(() => {});
  }

  async openBlob(_key: string, oid: string): Promise<ByteSource | undefined> {
    const blob = (await this.#index()).blobs[oid];
    const file = blob && (await this.#file(blob.file));
    return file && file.size === blob.size ? blobSource(file, oid) : undefined;
  }

  partial(key: string, oid: string): Promise<PartialBlob> {
    const file = `${key}~${oid}`;
    return openPartial(this.#folder, file, (name, size) =>
      this.#change((index) => {
        index.blobs[name] = { file, size };
      }),
    );
  }

  async link(key: string, commit: string, path: string, oid: string): Promise<void> {
    if (!safePath(path)) throw new SourceError("A file of the repository has an impossible name", { file: path });
    await this.#change((index) => {
      const { snapshots } = repositoryIn(index, key);
      snapshots[commit] ??= {};
      snapshots[commit][path] = oid;
    });
  }

  async lock(key: string, oid: string, options: Parameters<ModelCache["lock"]>[2]): Promise<() => Promise<void>> {
    const { signal, onWait } = options;
    return holdLock(`deltallm ${key} ${oid}`, signal, onWait);
  }

  async open(key: string, commit: string, path: string): Promise<ByteSource | undefined> {
    const index = await this.#index();
    const blob = index.blobs[index.repositories[key]?.snapshots[commit]?.[path] ?? ""];
    const file = blob && (await this.#file(blob.file));
    return file && file.size === blob.size ? blobSource(file, this.location(key, commit, path)) : undefined;
  }

  location(key: string, commit: string, path: string): string {
    return `${this.name}/${key}/${commit}${path ? `/${path}` : ""}`;
  }

  async freeBytes(): Promise<number | undefined> {
    const { quota, usage } = await navigator.storage.estimate();
    return quota === undefined ? undefined : Math.max(0, quota - (usage ?? 0));
  }

  async list(): Promise<CachedRepository[]> {
    const index = await this.#index();
    const found: CachedRepository[] = [];
    const partials = await this.#partials(index);
    for (const key of new Set([...Object.keys(index.repositories), ...partials.keys()])) {
      const { refs = {}, snapshots = {} } = index.repositories[key] ?? {};
      const commits = new Map(Object.keys(snapshots).map((commit) => [commit, filesIn(index, key, commit)]));
      found.push({ key, refs: new Map(Object.entries(refs)), commits, partials: partials.get(key) ?? new Map() });
    }
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async remove(key: string, what?: Parameters<ModelCache["remove"]>[1]): Promise<number> {
    const partials = (await this.#partials(await this.#index())).get(key) ?? new Map<string, number>();
    let bytes = 0;
    const gone: string[] = [];
    const left = new Set(partials.keys());
    for (const oid of what ? what.partials : partials.keys()) {
      bytes += partials.get(oid) ?? 0;
      left.delete(oid);
      gone.push(`${key}~${oid}`);
    }
    await this.#change((index) => {
      const repository = index.repositories[key];
      for (const { commit, path } of what?.files ?? []) {
        const files = repository?.snapshots[commit];
        if (files) delete files[path];
        if (files && Object.keys(files).length === 0) delete repository.snapshots[commit];
      }
      for (const oid of what?.partials ?? []) delete repository?.notes[`${oid}.etag`];
      for (const [ref, commit] of Object.entries(repository?.refs ?? {}))
        if (!repository?.snapshots[commit]) delete repository?.refs[ref];
      const empty = Object.keys(repository?.snapshots ?? {}).length === 0 && left.size === 0;
      if (!what || empty) delete index.repositories[key];
      const used = new Set(
        Object.values(index.repositories).flatMap(({ snapshots }) =>
          Object.values(snapshots).flatMap((files) => Object.values(files)),
        ),
      );
      for (const [oid, { file, size }] of Object.entries(index.blobs)) {
        if (used.has(oid)) continue;
        bytes += size;
        gone.push(file);
        delete index.blobs[oid];
      }
    });
    for (const file of gone) await this.#folder.removeEntry(file).catch(() => {});
    return bytes;
  }

  async #partials(index: Index): Promise<Map<string, Map<string, number>>> {
    const complete = new Set(Object.values(index.blobs).map(({ file }) => file));
    const found = new Map<string, Map<string, number>>();
    for await (const [name] of this.#folder.entries()) {
      const [key, oid] = name.split("~");
      if (complete.has(name) || key === undefined || oid === undefined) continue;
      const file = await this.#file(name);
      if (file) found.set(key, (found.get(key) ?? new Map<string, number>()).set(oid, file.size));
    }
    return found;
  }

  async #file(name: string): Promise<File | undefined> {
    try {
      return await (await this.#folder.getFileHandle(name)).getFile();
    } catch {
      return undefined;
    }
  }

  /** The newer of the two that is sound. */
  async #index(): Promise<Index> {
    const both = await Promise.all(INDEX.map((name) => readTextFile(this.#folder, name)));
    let newest: Index = { turn: 0, repositories: {}, blobs: {} };
    for (const text of both) {
      try {
        const index = JSON.parse(text ?? "") as Index;
        if (index.turn > newest.turn) newest = index;
      } catch {
        // Never written, or cut off while it was: the other one counts.
      }
    }
    return newest;
  }

  async #change(change: (index: Index) => void): Promise<void> {
    const unlock = await holdLock("deltallm index", undefined, undefined);
    try {
      const index = await this.#index();
      change(index);
      index.turn++;
      await writeTextFile(this.#folder, INDEX[index.turn % 2] as string, JSON.stringify(index));
    } catch (error) {
      throw storageError(error, this.name);
    } finally {
      await unlock();
    }
  }
}

function repositoryIn(index: Index, key: string): Repository {
  index.repositories[key] ??= { refs: {}, notes: {}, snapshots: {} };
  return index.repositories[key];
}

function filesIn(index: Index, key: string, commit: string): CachedFile[] {
  return Object.entries(index.repositories[key]?.snapshots[commit] ?? {})
    .map(([path, oid]) => ({ path, oid, size: index.blobs[oid]?.size ?? -1 }))
    .filter(({ size }) => size >= 0)
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** A lock between all tabs and workers of the origin; a tab that is closed gives its locks back. */
function holdLock(
  name: string,
  signal: AbortSignal | undefined,
  onWait: (() => void) | undefined,
): Promise<() => Promise<void>> {
  return new Promise((resolve, reject) => {
    const hold = () =>
      new Promise<void>((release) => {
        resolve(async () => release());
      });
    const wait = () => {
      onWait?.();
      if (signal?.aborted) return reject(signal.reason);
      navigator.locks.request(name, signal ? { signal } : {}, hold).catch(reject);
    };
    navigator.locks.request(name, { ifAvailable: true }, (lock) => (lock ? hold() : wait())).catch(reject);
  });
}
