import type { ByteSource } from "../formats/source.js";

/** A file that the cache has, under the name it has in its repository. */
export interface CachedFile {
  path: string;
  /** Bytes. */
  size: number;
  /** Name of its content; undefined where the file is a copy whose blob is not known. */
  oid: string | undefined;
}

/** A repository in the cache. Keys are `models--owner--name`, `datasets--owner--name` and `models--url--HASH`. */
export interface CachedRepository {
  key: string;
  /** Commits by branch or tag. */
  refs: Map<string, string>;
  /** Complete files by commit. */
  commits: Map<string, CachedFile[]>;
  /** Downloads that were begun, by blob. */
  partials: Map<string, number>;
}

/** Content that is being written. Closed by `finish` or `close`; what was written stays until it is finished. */
export interface PartialBlob {
  /** Bytes written so far. */
  readonly size: number;
  /** Reads back what was written. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** @throws DownloadError when the disk is full or fails */
  append(bytes: Uint8Array): Promise<void>;
  truncate(size: number): Promise<void>;
  /** Makes the content durable and gives it its final name. */
  finish(oid: string): Promise<void>;
  /** Makes what was written durable, to be gone on with later. */
  close(): Promise<void>;
}

/**
 * Where models are kept, by content. Implementations: the file system in the layout that all programs of the hub
 * share, the origin private file system of browsers, memory. All pass one conformance suite.
 * Everything is atomic: what is found under its final name is complete, whatever was interrupted.
 */
export interface ModelCache {
  /** For messages. */
  readonly name: string;
  readRef(key: string, revision: string): Promise<string | undefined>;
  writeRef(key: string, revision: string, commit: string): Promise<void>;
  /** The complete files of a commit; none when it is not there. */
  files(key: string, commit: string): Promise<CachedFile[]>;
  /** Small texts of our own about a repository: listings, versions. */
  readNote(key: string, name: string): Promise<string | undefined>;
  /** An undefined text takes the note away. */
  writeNote(key: string, name: string, text: string | undefined): Promise<void>;
  /** Bytes of a complete blob. */
  blobSize(key: string, oid: string): Promise<number | undefined>;
  /** Takes a complete blob back into work, to be looked at or written anew. */
  removeBlob(key: string, oid: string): Promise<void>;
  openBlob(key: string, oid: string): Promise<ByteSource | undefined>;
  /** The partial blob of that name, begun when there is none. Only for the holder of the lock. */
  partial(key: string, oid: string): Promise<PartialBlob>;
  /** Puts a complete blob under a path of a commit. */
  link(key: string, commit: string, path: string, oid: string): Promise<void>;
  /**
   * The right to write a blob; waits for whoever has it. A holder that died does not keep it.
   * @param onWait called once when somebody else has it
   * @returns gives it back
   */
  lock(
    key: string,
    oid: string,
    options: { signal?: AbortSignal | undefined; onWait?: (() => void) | undefined },
  ): Promise<() => Promise<void>>;
  /** Opens a complete file of a commit. */
  open(key: string, commit: string, path: string): Promise<ByteSource | undefined>;
  /** Where that file is, for people and for other programs. */
  location(key: string, commit: string, path: string): string;
  /** Room left, in bytes, where it can be known. */
  freeBytes(): Promise<number | undefined>;
  list(): Promise<CachedRepository[]>;
  /**
   * Removes files of commits, or the whole repository; blobs that nothing else uses, and partial ones named, go too.
   * @returns bytes given back
   */
  remove(key: string, what?: { files: { commit: string; path: string }[]; partials: string[] }): Promise<number>;
}

/** The cache's name of a repository. */
export function repositoryKey(kind: "models" | "datasets", repository: string): string {
  return `${kind}--${repository.replace("/", "--")}`;
}

/** The repository that a key names. */
export function repositoryOf(key: string): { kind: string; repository: string } {
  const [kind = "", ...rest] = key.split("--");
  return { kind, repository: rest.join("/") };
}
