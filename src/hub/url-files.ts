import { SourceError } from "../errors.js";
import type { ModelCache } from "./cache.js";
import { versionOf } from "./download.js";
import { startHash } from "./hash.js";
import { ask, askPatiently } from "./http.js";
import { safePath } from "./paths.js";
import type { HubSettings } from "./settings.js";

const MAGIC = "GGUF";
/** Parts of one model; the largest published ones have some 100. */
const MAX_PARTS = 1024;

/** Where the cache keeps the files of a folder behind a URL. */
export interface UrlPlace {
  key: string;
  /** There is one version only; the cache's layout wants a commit. */
  commit: string;
  /** Name of the file in that folder. */
  file: string;
  /** The folder, with the query. */
  folder: URL;
}

/** A file as its server describes it. */
export interface UrlFile {
  url: string;
  file: string;
  size: number;
  /** ETag or date; undefined where the server gives none. */
  version: string | undefined;
}

/** What the cache remembers of a file from a URL. */
export interface UrlNote {
  url: string;
  version: string | undefined;
  oid: string;
  size: number;
}

export async function urlPlace(address: string): Promise<UrlPlace> {
  const url = new URL(address);
  url.hash = "";
  const slash = url.pathname.lastIndexOf("/");
  const folder = new URL(url);
  folder.pathname = url.pathname.slice(0, slash + 1);
  const hash = await startHash({ kind: "sha256" });
  hash.update(new TextEncoder().encode(folder.href));
  const digest = hash.digest();
  let file = url.pathname.slice(slash + 1);
  try {
    file = decodeURIComponent(file);
  } catch {
    // Kept as it is written.
  }
  if (!safePath(file) || file.includes("/")) file = "model.gguf";
  return { key: `models--url--${digest.slice(0, 32)}`, commit: digest.slice(0, 40), file, folder };
}

export function urlOf(place: UrlPlace, file: string): string {
  const url = new URL(place.folder);
  url.pathname += encodeURIComponent(file);
  return url.href;
}

/** Names of all parts, when the file is the first of several. */
export function partsOf(file: string): string[] {
  const match = /^(.+)-00001-of-(\d{5})\.gguf$/i.exec(file);
  const count = Number(match?.[2] ?? 1);
  if (!match || count > MAX_PARTS) return [file];
  const number = (i: number) => String(i + 1).padStart(5, "0");
  return Array.from({ length: count }, (_, i) => `${match[1]}-${number(i)}-of-${match[2]}.gguf`);
}

/** Asks a server about a file; undefined when it is not a GGUF file, or nothing that has a length. */
export async function peekUrl(
  settings: HubSettings,
  url: string,
  file: string,
  signal: AbortSignal | undefined,
): Promise<UrlFile | undefined> {
  const headers = { Range: `bytes=0-${MAGIC.length - 1}` };
  return askPatiently(settings, url, { headers, signal, accept: [416] }, async (answer) => {
    let first = "";
    try {
      for await (const chunk of answer.chunks()) {
        first += String.fromCharCode(...chunk.subarray(0, MAGIC.length - first.length));
        if (first.length >= MAGIC.length) break;
      }
    } finally {
      await answer.cancel();
    }
    const { headers: got, status } = answer;
    const total =
      status === 206 ? /\/(\d+)$/.exec(got.get("content-range") ?? "")?.[1] : (got.get("content-length") ?? undefined);
    const size = Number(total);
    if (first !== MAGIC || total === undefined || !Number.isSafeInteger(size)) return undefined;
    return { url, file, size, version: versionOf(got) };
  });
}

/** Whether a server still has the version that the cache has; undefined when it cannot be asked. */
export async function sameOnServer(
  settings: HubSettings,
  note: UrlNote,
  signal: AbortSignal | undefined,
): Promise<boolean | undefined> {
  try {
    const answer = await ask(settings, note.url, { method: "HEAD", signal });
    await answer.cancel();
    const version = versionOf(answer.headers);
    const length = answer.headers.get("content-length");
    return version === note.version && (length === null || Number(length) === note.size);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof SourceError) return false;
    return undefined;
  }
}

export async function readUrlNote(cache: ModelCache, key: string, file: string): Promise<UrlNote | undefined> {
  const text = await cache.readNote(key, `${file}.json`);
  try {
    return text === undefined ? undefined : (JSON.parse(text) as UrlNote);
  } catch {
    return undefined;
  }
}
