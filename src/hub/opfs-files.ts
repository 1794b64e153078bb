import { DeltaLLMError, DownloadError, SourceError } from "../errors.js";
import type { PartialBlob } from "./cache.js";

/** Bytes written between two times that the browser is asked to make them durable. */
const FLUSH_BYTES = 16 << 20;

/** In workers only; not among the types of pages. */
interface SyncAccess {
  getSize(): number;
  read(into: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

interface Writable {
  write(data: Uint8Array | { type: "write"; position: number; data: Uint8Array }): Promise<void>;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

interface FileHandle {
  getFile(): Promise<File>;
  createSyncAccessHandle?(): Promise<SyncAccess>;
  createWritable?(options: { keepExistingData: boolean }): Promise<Writable>;
}

/** What is used of a folder of the origin private file system. */
export interface Folder {
  getFileHandle(name: string, options?: { create: boolean }): Promise<FileHandle>;
  removeEntry(name: string): Promise<void>;
  entries(): AsyncIterable<[string, unknown]>;
}

export async function readTextFile(folder: Folder, name: string): Promise<string | undefined> {
  try {
    return await (await (await folder.getFileHandle(name)).getFile()).text();
  } catch {
    return undefined;
  }
}

export async function writeTextFile(folder: Folder, name: string, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  const handle = await folder.getFileHandle(name, { create: true });
  if (handle.createSyncAccessHandle) {
    const access = await handle.createSyncAccessHandle();
    try {
      access.truncate(0);
      access.write(bytes, { at: 0 });
      access.flush();
    } finally {
      access.close();
    }
  } else {
    const writable = await writableOf(handle, false);
    await writable.write(bytes);
    await writable.close();
  }
}

/**
 * A file that is being written. In workers in place, so that what came survives the tab; on pages through the browser's
 * own copy, which counts once it is closed.
 * @param complete notes that the content is complete
 */
export async function openPartial(
  folder: Folder,
  name: string,
  complete: (oid: string, size: number) => Promise<void>,
): Promise<PartialBlob> {
  try {
    const handle = await folder.getFileHandle(name, { create: true });
    return handle.createSyncAccessHandle
      ? inPlace(name, await handle.createSyncAccessHandle(), complete)
      : await throughCopy(name, handle, complete);
  } catch (error) {
    throw storageError(error, name);
  }
}

function inPlace(
  name: string,
  access: SyncAccess,
  complete: (oid: string, size: number) => Promise<void>,
): PartialBlob {
  let size = access.getSize();
  let unsaved = 0;
  const guarded = <Result>(run: () => Result): Result => {
    try {
      return run();
    } catch (error) {
      throw storageError(error, name);
    }
  };
  return {
    get size() {
      return size;
    },
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      const got = guarded(() => access.read(bytes, { at: offset }));
      if (got !== length) throw new SourceError("The file became shorter while it was read", { file: name });
      return bytes;
    },
    async append(bytes) {
      // A full disk is an error in some browsers and a short write in others.
      const written = guarded(() => access.write(bytes, { at: size }));
      size += written;
      unsaved += written;
      if (written !== bytes.length) throw full(name);
      if (unsaved >= FLUSH_BYTES) {
        guarded(() => access.flush());
        unsaved = 0;
      }
    },
    async truncate(to) {
      guarded(() => access.truncate(to));
      size = to;
    },
    async finish(oid) {
      guarded(() => access.flush());
      access.close();
      await complete(oid, size);
    },
    async close() {
      try {
        access.flush();
      } finally {
        access.close();
      }
    },
  };
}

async function throughCopy(
  name: string,
  handle: FileHandle,
  complete: (oid: string, size: number) => Promise<void>,
): Promise<PartialBlob> {
  const before = await handle.getFile();
  const writable = await writableOf(handle, true);
  let size = before.size;
  const guarded = async <Result>(run: () => Promise<Result>): Promise<Result> => {
    try {
      return await run();
    } catch (error) {
      throw storageError(error, name);
    }
  };
  return {
    get size() {
      return size;
    },
    async read(offset, length) {
      const bytes = new Uint8Array(await before.slice(offset, offset + length).arrayBuffer());
      if (bytes.length !== length) throw new SourceError("What was just written cannot be read yet", { file: name });
      return bytes;
    },
    async append(bytes) {
      await guarded(() => writable.write({ type: "write", position: size, data: bytes }));
      size += bytes.length;
    },
    async truncate(to) {
      await guarded(() => writable.truncate(to));
      size = to;
    },
    async finish(oid) {
      await guarded(() => writable.close());
      await complete(oid, size);
    },
    async close() {
      await writable.close().catch(() => {});
    },
  };
}

async function writableOf(handle: FileHandle, keepExistingData: boolean): Promise<Writable> {
  if (!handle.createWritable)
    throw new DownloadError("This browser's storage cannot be written from a page", {}, "Load the model by its name");
  return handle.createWritable({ keepExistingData });
}

function full(name: string): Error {
  return new DownloadError(
    "The browser has no more room for this page's files",
    { file: name },
    "Remove a model, free some disk, or choose a smaller file: what was downloaded is kept",
  );
}

/** A failure of the browser's storage in our own words. */
export function storageError(error: unknown, name: string): Error {
  if (error instanceof DeltaLLMError) return error;
  const { name: kind, message } = error as Error;
  if (kind === "QuotaExceededError") return full(name);
  return new DownloadError(`The browser's storage failed: ${message}`, { file: name }, undefined, { cause: error });
}
