import { OptionError } from "../errors.js";
import type { ModelCache } from "./cache.js";
import { startHash } from "./hash.js";
import { safePath } from "./paths.js";
import { type UrlNote, urlPlace } from "./url-files.js";

const READ_BYTES = 4 << 20;

/**
 * Copies a chosen GGUF file into the cache, so that it is there the next time.
 * @returns the name under which it loads, lists and is removed: `file:NAME`
 * @throws OptionError when it is not a GGUF file; DownloadError when there is no room
 */
export async function keepFile(
  cache: ModelCache,
  file: File,
  options: { signal?: AbortSignal | undefined; onBytes?: ((bytes: number) => void) | undefined } = {},
): Promise<string> {
  const url = new URL(`file:${encodeURIComponent(file.name)}`).href;
  const first = new TextDecoder("latin1").decode(await file.slice(0, 4).arrayBuffer());
  if (first !== "GGUF" || !safePath(file.name) || file.name.includes("/"))
    throw new OptionError("This is not a GGUF file", { file: file.name }, "Choose a file whose name ends with .gguf");
  const { key, commit, file: path } = await urlPlace(url);
  const blob = `file-${file.size}-${file.lastModified}`;
  const unlock = await cache.lock(key, blob, { signal: options.signal });
  try {
    const partial = await cache.partial(key, blob);
    let finished = false;
    try {
      await partial.truncate(0);
      const hash = await startHash({ kind: "sha256" });
      for (let at = 0; at < file.size; at += READ_BYTES) {
        options.signal?.throwIfAborted();
        const bytes = new Uint8Array(await file.slice(at, at + READ_BYTES).arrayBuffer());
        hash.update(bytes);
        await partial.append(bytes);
        options.onBytes?.(at + bytes.length);
      }
      const oid = hash.digest();
      finished = true;
      await partial.finish(oid);
      await cache.link(key, commit, path, oid);
      const note: UrlNote = { url, version: undefined, oid, size: file.size };
      await cache.writeNote(key, `${path}.json`, JSON.stringify(note));
      await cache.writeRef(key, "main", commit);
    } finally {
      if (!finished) await partial.close();
    }
  } finally {
    await unlock();
  }
  return url;
}
