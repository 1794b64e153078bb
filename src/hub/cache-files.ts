import { SourceError } from "../errors.js";
import type { ByteSource } from "../formats/source.js";
import { fileSource } from "../formats/sources/file.js";
import { nodeModules } from "../platform/node-modules.js";
import type { CachedFile, CachedRepository, ModelCache, PartialBlob } from "./cache.js";
import { codeOf, diskError, guarded } from "./disk-errors.js";
import { lockFile } from "./lock-file.js";
import { PartialFile } from "./partial-file.js";
import { safePath } from "./paths.js";

/** Our own small files, beside those that all programs know. */
const NOTES = ".deltallm";

type Fs = typeof import("node:fs/promises");

/**
 * The cache of the Hugging Face hub in the file system: `blobs/` by content, `snapshots/COMMIT/PATH` as relative links
 * to them, `refs/BRANCH`. Shared with Python's `huggingface_hub` and with llama.cpp.
 */
export async function fileCache(root: string): Promise<ModelCache> {
  const fs = await nodeModules.fs();
  return new FileCache(root.replace(/(?<=.)[/\\]+$/, ""), fs);
}

class FileCache implements ModelCache {
  readonly name: string;
  readonly #fs: Fs;

  constructor(root: string, fs: Fs) {
    this.name = root;
    this.#fs = fs;
  }

  async readRef(key: string, revision: string): Promise<string | undefined> {
    const text = await this.#read(this.#ref(key, revision));
    return text?.trim() || undefined;
  }

  writeRef(key: string, revision: string, commit: string): Promise<void> {
    return this.#write(this.#ref(key, revision), commit);
  }

  async files(key: string, commit: string): Promise<CachedFile[]> {
    const base = `${this.name}/${key}/snapshots/${commit}`;
    const found: CachedFile[] = [];
    const walk = async (folder: string): Promise<void> => {
      for (const entry of await this.#entries(`${base}/${folder}`)) {
        const path = folder + entry.name;
        const full = `${base}/${path}`;
        if (entry.isDirectory()) {
          await walk(`${path}/`);
          continue;
        }
        const stat = await this.#fs.stat(full).catch(() => undefined);
        if (!stat?.isFile()) continue;
        const target = await this.#fs.readlink(full).catch(() => undefined);
        found.push({ path, size: stat.size, oid: target?.split(/[/\\]/).pop() });
      }
    };
    await walk("");
    return found.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  readNote(key: string, name: string): Promise<string | undefined> {
    return this.#read(`${this.name}/${key}/${NOTES}/${name}`);
  }

  async writeNote(key: string, name: string, text: string | undefined): Promise<void> {
    const path = `${this.name}/${key}/${NOTES}/${name}`;
    if (text === undefined) await this.#fs.rm(path, { force: true });
    else {
      // Other programs take a repository without this folder for a damaged one.
      await this.#makeFolder(`${this.name}/${key}/snapshots`);
      await this.#write(path, text);
    }
  }

  async blobSize(key: string, oid: string): Promise<number | undefined> {
    const stat = await this.#fs.stat(this.#blob(key, oid)).catch(() => undefined);
    return stat?.isFile() ? stat.size : undefined;
  }

  async removeBlob(key: string, oid: string): Promise<void> {
    await this.#fs.rm(this.#blob(key, oid), { force: true });
  }

  async openBlob(key: string, oid: string): Promise<ByteSource | undefined> {
    return (await this.blobSize(key, oid)) === undefined ? undefined : fileSource(this.#blob(key, oid), 0);
  }

  async partial(key: string, oid: string): Promise<PartialBlob> {
    const final = (name: string) => this.#blob(key, name);
    const path = `${final(oid)}.incomplete`;
    const fs = this.#fs;
    await this.#makeFolder(`${this.name}/${key}/blobs`);
    // Opened for reading and writing, made when it is not there, never emptied.
    const handle = await guarded(path, () =>
      fs.open(path, "a+").then((file) => file.close().then(() => fs.open(path, "r+"))),
    );
    const { size } = await handle.stat();
    return new PartialFile(path, handle, size, async (name) => {
      await guarded(path, () => fs.rename(path, final(name)));
      await syncFolder(fs, `${this.name}/${key}/blobs`);
    });
  }

  async link(key: string, commit: string, path: string, oid: string): Promise<void> {
    const full = this.location(key, commit, path);
    if (!safePath(path)) throw new SourceError("A file of the repository has an impossible name", { file: path });
    await this.#makeFolder(full.slice(0, full.lastIndexOf("/")));
    const target = `${"../".repeat(path.split("/").length + 1)}blobs/${oid}`;
    const there = await this.#fs.readlink(full).catch(() => undefined);
    if (there === target) return;
    const fresh = `${full}.${crypto.randomUUID().slice(0, 8)}.tmp`;
    try {
      await this.#fs.symlink(target, fresh);
    } catch (error) {
      if (!["EPERM", "EACCES", "ENOSYS", "ENOTSUP", "EINVAL", "EOPNOTSUPP"].includes(codeOf(error) ?? ""))
        throw diskError(error, full);
      // No symbolic links here: a second name of the same file, or a copy.
      const blob = this.#blob(key, oid);
      await this.#fs.link(blob, fresh).catch(() => guarded(full, () => this.#fs.copyFile(blob, fresh)));
    }
    await guarded(full, () => this.#fs.rename(fresh, full));
  }

  lock(key: string, oid: string, options: Parameters<ModelCache["lock"]>[2]): Promise<() => Promise<void>> {
    return lockFile(`${this.name}/.locks/${key}/${oid}.deltallm`, options);
  }

  async open(key: string, commit: string, path: string): Promise<ByteSource | undefined> {
    const full = this.location(key, commit, path);
    const stat = await this.#fs.stat(full).catch(() => undefined);
    return stat?.isFile() ? fileSource(full) : undefined;
  }

  location(key: string, commit: string, path: string): string {
    return `${this.name}/${key}/snapshots/${commit}${path ? `/${path}` : ""}`;
  }

  async freeBytes(): Promise<number | undefined> {
    for (let folder = this.name; ; folder = folder.slice(0, folder.lastIndexOf("/"))) {
      try {
        const { bavail, bsize } = await this.#fs.statfs(folder || "/");
        return bavail * bsize;
      } catch (error) {
        // The folder is made with the first file.
        if (codeOf(error) !== "ENOENT" || !folder.includes("/")) return undefined;
      }
    }
  }

  async list(): Promise<CachedRepository[]> {
    const found: CachedRepository[] = [];
    for (const entry of await this.#entries(this.name)) {
      if (!entry.isDirectory() || !/^(?:models|datasets)--./.test(entry.name)) continue;
      found.push(await this.#repository(entry.name));
    }
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async #repository(key: string): Promise<CachedRepository> {
    const base = `${this.name}/${key}`;
    const repository: CachedRepository = { key, refs: new Map(), commits: new Map(), partials: new Map() };
    const walkRefs = async (folder: string): Promise<void> => {
      for (const entry of await this.#entries(`${base}/refs/${folder}`)) {
        const name = folder + entry.name;
        if (entry.isDirectory()) await walkRefs(`${name}/`);
        else repository.refs.set(name, (await this.readRef(key, name)) ?? "");
      }
    };
    await walkRefs("");
    for (const entry of await this.#entries(`${base}/snapshots`))
      if (entry.isDirectory()) repository.commits.set(entry.name, await this.files(key, entry.name));
    for (const entry of await this.#entries(`${base}/blobs`)) {
      if (!entry.name.endsWith(".incomplete")) continue;
      const stat = await this.#fs.stat(`${base}/blobs/${entry.name}`).catch(() => undefined);
      if (stat) repository.partials.set(entry.name.slice(0, -".incomplete".length), stat.size);
    }
    return repository;
  }

  async remove(key: string, what?: Parameters<ModelCache["remove"]>[1]): Promise<number> {
    const base = `${this.name}/${key}`;
    const before = await this.#bytes(`${base}/blobs`);
    if (what) {
      for (const oid of what.partials) {
        await this.#fs.rm(`${this.#blob(key, oid)}.incomplete`, { force: true });
        await this.writeNote(key, `${oid}.etag`, undefined);
      }
      for (const { commit, path } of what.files) {
        await this.#fs.rm(this.location(key, commit, path), { force: true });
        await this.#removeEmpty(`${base}/snapshots/${commit}`, path);
      }
    }
    const { commits, partials, refs } = await this.#repository(key);
    for (const [ref, commit] of refs)
      if (what && !commits.has(commit)) await this.#fs.rm(this.#ref(key, ref), { force: true });
    if (!what || (![...commits.values()].some((files) => files.length) && partials.size === 0)) {
      const bytes = before + (await this.#bytes(`${base}/snapshots`));
      await this.#fs.rm(base, { recursive: true, force: true });
      await this.#fs.rm(`${this.name}/.locks/${key}`, { recursive: true, force: true });
      return bytes;
    }
    const used = new Set([...commits.values()].flat().map(({ oid }) => oid));
    for (const entry of await this.#entries(`${base}/blobs`)) {
      if (entry.name.endsWith(".incomplete") || used.has(entry.name)) continue;
      await this.#fs.rm(`${base}/blobs/${entry.name}`, { force: true });
    }
    return before - (await this.#bytes(`${base}/blobs`));
  }

  /** Takes away the folders of a removed file that are empty now, the snapshot's own included. */
  async #removeEmpty(base: string, path: string): Promise<void> {
    for (let parts = path.split("/").slice(0, -1); ; parts = parts.slice(0, -1)) {
      const gone = await this.#fs.rmdir([base, ...parts].join("/")).then(
        () => true,
        () => false,
      );
      if (!gone || parts.length === 0) return;
    }
  }

  /** Bytes of the files in a folder; links count for nothing. */
  async #bytes(folder: string): Promise<number> {
    let sum = 0;
    for (const entry of await this.#entries(folder)) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) sum += await this.#bytes(path);
      else if (entry.isFile())
        sum += await this.#fs.stat(path).then(
          (stat) => stat.size,
          () => 0,
        );
    }
    return sum;
  }

  #ref(key: string, revision: string): string {
    return `${this.name}/${key}/refs/${revision}`;
  }

  #blob(key: string, oid: string): string {
    return `${this.name}/${key}/blobs/${oid}`;
  }

  #entries(folder: string) {
    return this.#fs.readdir(folder, { withFileTypes: true }).catch(() => []);
  }

  #makeFolder(folder: string): Promise<unknown> {
    return guarded(folder, () => this.#fs.mkdir(folder, { recursive: true }));
  }

  #read(path: string): Promise<string | undefined> {
    return this.#fs.readFile(path, "utf8").catch(() => undefined);
  }

  async #write(path: string, text: string): Promise<void> {
    await this.#makeFolder(path.slice(0, path.lastIndexOf("/")));
    const fresh = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
    await guarded(path, async () => {
      await this.#fs.writeFile(fresh, text, { flush: true } as object);
      await this.#fs.rename(fresh, path);
    }).catch(async (error) => {
      await this.#fs.rm(fresh, { force: true }).catch(() => {});
      throw error;
    });
  }
}

/** So that a name is there after the power has gone. Not to be had everywhere. */
async function syncFolder(fs: Fs, folder: string): Promise<void> {
  const handle = await fs.open(folder, "r").catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close().catch(() => {});
}
