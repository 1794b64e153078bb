import { nodeModules } from "../platform/node-modules.js";
import type { ByteSource } from "./source.js";
import { blobSource } from "./sources/blob.js";
import { bytesSource } from "./sources/bytes.js";
import { fileSource } from "./sources/file.js";
import { readAhead } from "./sources/read-ahead.js";
import { tryUrlSource } from "./sources/url.js";

/** A set of named files: a Hugging Face model folder on disk, behind a URL, or handed over by the caller. */
export interface ModelFolder {
  /** For messages. */
  readonly name: string;
  /**
   * Opens one file, by its name or a path with slashes; undefined when the folder has none of that name.
   * @throws SourceError when the file is there but cannot be opened.
   */
  open(file: string, signal?: AbortSignal): Promise<ByteSource | undefined>;
}

/** A folder on disk. */
export function directoryFolder(path: string): ModelFolder {
  const base = path.replace(/[/\\]+$/, "") || path;
  return {
    name: base,
    async open(file) {
      const { stat } = await nodeModules.fs();
      const full = `${base}/${file}`;
      const there = await stat(full).then(
        () => true,
        () => false,
      );
      return there ? fileSource(full) : undefined;
    },
  };
}

/** A folder behind a URL; query and fragment are kept for every file. A missing file is a 404. */
export function urlFolder(url: string | URL): ModelFolder {
  const base = new URL(url);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return {
    name: base.href,
    async open(file, signal) {
      const full = new URL(base);
      full.pathname += file.split("/").map(encodeURIComponent).join("/");
      const source = await tryUrlSource(full, { signal });
      return source && readAhead(source);
    },
  };
}

/**
 * Files at hand, by name: what a directory picker or a drop gives.
 * @param files `[name, content]` pairs, such as a Map or `Object.entries(…)`; names may be paths below a common folder.
 */
export function filesFolder(
  files: Iterable<readonly [string, Blob | Uint8Array | ByteSource]>,
  name = "folder of files",
): ModelFolder {
  const listed = [...files].map(([path, content]) => ({ parts: path.split("/"), content }));
  listed.sort((a, b) => a.parts.length - b.parts.length);
  const depth = (listed[0]?.parts.length ?? 1) - 1;
  const byName = new Map(listed.map(({ parts, content }) => [parts.slice(depth).join("/"), content]));
  return {
    name,
    async open(file) {
      // Beside other files, the folder may lie deeper.
      const content = byName.get(file) ?? listed.find(({ parts }) => parts.at(-1) === file)?.content;
      const full = `${name}/${file}`;
      if (content === undefined) return undefined;
      if (content instanceof Uint8Array) return bytesSource(content, full);
      return content instanceof Blob ? blobSource(content, full) : content;
    },
  };
}
