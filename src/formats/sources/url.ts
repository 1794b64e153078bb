import { SourceError } from "../../errors.js";
import { show } from "../show.js";
import type { ByteSource } from "../source.js";
import { bytesSource } from "./bytes.js";
import { BrokenTransfer, bodyChunks, drop, type Patience, requestRange, retried } from "./http.js";
import { checkRange, closedError } from "./range.js";

/** First request: long enough for most headers, so that small reads at the start need no other. */
const FIRST_BYTES = 64 * 2 ** 10;

/** How to read from a URL. */
export interface UrlOptions extends Patience {
  /** Stops the request that is under way. */
  signal?: AbortSignal | undefined;
  /**
   * Most bytes to download when the server does not serve ranges and the file must be held in memory. Default 256 MiB;
   * 0 refuses such servers.
   */
  wholeLimit?: number | undefined;
  /** Further request headers, such as `Authorization`. */
  headers?: Record<string, string> | undefined;
}

/**
 * A file behind HTTP, read by Range requests. Every answer is checked: status, Content-Range, length, and that the
 * file is still the same (ETag, Last-Modified). A server without ranges is read once, whole, up to `wholeLimit`.
 * @throws SourceError when the file is missing, the server refuses, or its answers contradict each other.
 */
export async function urlSource(url: string | URL, options: UrlOptions = {}): Promise<ByteSource> {
  const source = await tryUrlSource(url, options);
  if (!source) throw notFound(String(url));
  return source;
}

/** The error for a file that a server does not have. */
export function notFound(url: string, hint = "Check the address"): SourceError {
  return new SourceError("The server has no such file (404)", { file: url }, hint);
}

/** Like `urlSource`; undefined when the server answers 404 or 410. */
export function tryUrlSource(url: string | URL, options: UrlOptions = {}): Promise<ByteSource | undefined> {
  return retried(options.signal, () => openUrl(String(url), options));
}

async function openUrl(name: string, options: UrlOptions): Promise<ByteSource | undefined> {
  const { wholeLimit = 256 * 2 ** 20, headers = {}, signal } = options;
  const first = await requestRange(name, headers, [0, FIRST_BYTES - 1], signal, options);
  if (first.status === 404 || first.status === 410) {
    drop(first);
    return undefined;
  }
  if (first.status === 416) {
    drop(first);
    // Only an empty file has no first byte.
    if (/^bytes \*\/0$/.test(first.headers.get("content-range") ?? "")) return bytesSource(new Uint8Array(0), name);
    throw new SourceError("The server answered 416 to a request for the first bytes", { file: name });
  }
  if (first.status === 200) return bytesSource(await readWhole(first, name, wholeLimit, options), name);
  const { start, end, size } = contentRange(first, name);
  if (start !== 0 || end !== Math.min(FIRST_BYTES, size) - 1) {
    drop(first);
    throw new SourceError(`Asked for bytes 0 to ${FIRST_BYTES - 1}, the server sent ${start} to ${end}`, {
      file: name,
    });
  }
  refuseEncoded(first, name);
  const prefix = await readBody(first, end + 1, name, 0, options);
  const version = versionOf(first);
  let closed = false;
  return {
    name,
    size,
    async read(offset, length, signal) {
      signal?.throwIfAborted();
      if (closed) throw closedError(name);
      checkRange(name, size, offset, length);
      if (length === 0) return new Uint8Array(0);
      if (offset + length <= prefix.length) return prefix.slice(offset, offset + length);
      return retried(signal, () => readRange(offset, length, signal));
    },
    async close() {
      closed = true;
    },
  };

  async function readRange(offset: number, length: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const response = await requestRange(name, headers, [offset, offset + length - 1], signal, options);
    const refuse = (what: string, hint?: string) => {
      drop(response);
      throw new SourceError(what, { file: name, offset }, hint);
    };
    if (response.status !== 206) refuse(`Asked for a range, the server answered ${response.status}`);
    const got = contentRange(response, name);
    if (got.start !== offset || got.end !== offset + length - 1) {
      refuse(`Asked for bytes ${offset} to ${offset + length - 1}, the server sent ${got.start} to ${got.end}`);
    }
    if (got.size !== size || differs(version, versionOf(response))) {
      refuse("The file changed on the server while it was read", "Open it again");
    }
    refuseEncoded(response, name);
    return readBody(response, length, name, offset, { ...options, signal });
  }
}

/** What tells one version of a file from another. */
type Version = Record<"etag" | "last-modified", string | null>;

function versionOf({ headers }: Response): Version {
  return { etag: headers.get("etag"), "last-modified": headers.get("last-modified") };
}

/** Whether something that both answers have is not the same. */
function differs(first: Version, now: Version): boolean {
  return (["etag", "last-modified"] as const).some(
    (key) => first[key] !== null && now[key] !== null && first[key] !== now[key],
  );
}

/** A part of a compressed file cannot be unpacked; browsers and Node would wait for the rest. */
function refuseEncoded(response: Response, name: string): void {
  const encoding = response.headers.get("content-encoding");
  if (encoding === null || encoding === "identity") return;
  drop(response);
  throw new SourceError(
    `The server sends a part of the file with Content-Encoding ${show(encoding)}`,
    { file: name },
    "It must serve model files as they are",
  );
}

function contentRange(response: Response, name: string): { start: number; end: number; size: number } {
  const header = response.headers.get("content-range");
  const parts = header
    ?.match(/^bytes (\d+)-(\d+)\/(\d+)$/)
    ?.slice(1)
    .map(Number);
  if (parts?.every(Number.isSafeInteger)) {
    const [start, end, size] = parts as [number, number, number];
    if (start <= end && end < size) return { start, end, size };
  }
  drop(response);
  throw new SourceError(
    `The server answered with the Content-Range ${show(header)}`,
    { file: name },
    header === null ? "In a browser the server must expose that header (Access-Control-Expose-Headers)" : undefined,
  );
}

/** Reads a body that must have exactly `length` bytes, and stops at the first byte too many. */
async function readBody(
  response: Response,
  length: number,
  name: string,
  offset: number,
  options: UrlOptions,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  for await (const chunk of bodyChunks(response, name, options.signal, options)) {
    if (done + chunk.length > length) {
      throw new SourceError(`Asked for ${length} bytes, the server sends more`, { file: name, offset });
    }
    bytes.set(chunk, done);
    done += chunk.length;
  }
  if (done !== length) {
    throw new BrokenTransfer(`Asked for ${length} bytes, the server sent ${done}`, { file: name, offset });
  }
  return bytes;
}

async function readWhole(response: Response, name: string, limit: number, options: UrlOptions): Promise<Uint8Array> {
  const stated = response.headers.get("content-length");
  const refuse = (what: string) =>
    new SourceError(what, { file: name }, "Download the file and open it from disk, or raise wholeLimit");
  if (stated !== null && Number(stated) > limit) {
    drop(response);
    throw refuse(`The server serves no ranges, and the file's ${stated} bytes are more than ${limit}`);
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyChunks(response, name, options.signal, options)) {
    size += chunk.length;
    if (size > limit) throw refuse(`The server serves no ranges, and the file has more than ${limit} bytes`);
    parts.push(chunk);
  }
  const encoded = response.headers.get("content-encoding");
  if (stated !== null && (encoded === null || encoded === "identity") && size !== Number(stated)) {
    throw new BrokenTransfer(`The server promised ${stated} bytes and sent ${size}`, { file: name });
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
