import { SourceError } from "../../errors.js";
import { show } from "../show.js";
import type { ByteSource } from "../source.js";
import { bytesSource } from "./bytes.js";
import { checkRange, closedError } from "./range.js";

/** First request: long enough for most headers, so that small reads at the start need no other. */
const FIRST_BYTES = 64 * 2 ** 10;
/** Tries per request before a failure of the network or the server (429, 5xx) is reported. */
const TRIES = 4;
/** Wait before the second try, in milliseconds; doubles each time. */
const FIRST_WAIT_MS = 200;

/** The connection ended in the middle of a body: worth another try. */
class BrokenTransfer extends SourceError {}

/** How to read from a URL. */
export interface UrlOptions {
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
 * file is still the same (ETag). A server without ranges is read once, whole, up to `wholeLimit`.
 * @throws SourceError when the file is missing, the server refuses, or its answers contradict each other.
 */
export async function urlSource(url: string | URL, options: UrlOptions = {}): Promise<ByteSource> {
  const source = await tryUrlSource(url, options);
  if (!source) throw new SourceError("The server has no such file (404)", { file: String(url) });
  return source;
}

/** Like `urlSource`; undefined when the server answers 404 or 410. */
export async function tryUrlSource(url: string | URL, options: UrlOptions = {}): Promise<ByteSource | undefined> {
  const name = String(url);
  const { wholeLimit = 256 * 2 ** 20, headers = {} } = options;
  const first = await request(name, headers, 0, FIRST_BYTES - 1, options.signal);
  if (first.status === 404 || first.status === 410) {
    await first.body?.cancel();
    return undefined;
  }
  if (first.status === 416) {
    await first.body?.cancel();
    return bytesSource(new Uint8Array(0), name);
  }
  if (first.status === 200) return bytesSource(await readWhole(first, name, wholeLimit, options.signal), name);
  const { start, end, size } = contentRange(first, name);
  if (start !== 0 || end !== Math.min(FIRST_BYTES, size) - 1) {
    await first.body?.cancel();
    throw new SourceError(`Asked for bytes 0 to ${FIRST_BYTES - 1}, the server sent ${start} to ${end}`, {
      file: name,
    });
  }
  const prefix = await readBody(first, end + 1, name, 0, options.signal);
  const tag = first.headers.get("etag");
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
      for (let attempt = 1; ; attempt++) {
        try {
          return await readRange(offset, length, signal);
        } catch (error) {
          if (!(error instanceof BrokenTransfer) || attempt === TRIES) throw error;
          await wait(FIRST_WAIT_MS * 2 ** (attempt - 1), signal);
        }
      }
    },
    async close() {
      closed = true;
    },
  };

  async function readRange(offset: number, length: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const response = await request(name, headers, offset, offset + length - 1, signal);
    const refuse = async (what: string, hint?: string) => {
      await response.body?.cancel();
      throw new SourceError(what, { file: name, offset }, hint);
    };
    if (response.status !== 206) await refuse(`Asked for a range, the server answered ${response.status}`);
    const got = contentRange(response, name);
    if (got.start !== offset || got.end !== offset + length - 1) {
      await refuse(`Asked for bytes ${offset} to ${offset + length - 1}, the server sent ${got.start} to ${got.end}`);
    }
    const nowTag = response.headers.get("etag");
    if (got.size !== size || (tag !== null && nowTag !== null && nowTag !== tag)) {
      await refuse("The file changed on the server while it was read", "Open it again");
    }
    return readBody(response, length, name, offset, signal);
  }
}

async function request(
  url: string,
  headers: Record<string, string>,
  start: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    let failure: SourceError;
    try {
      const response = await fetch(url, {
        // Compressed answers have lengths of their own.
        headers: { ...headers, Range: `bytes=${start}-${end}`, "Accept-Encoding": "identity" },
        signal: signal ?? null,
      });
      const { status } = response;
      if (status === 200 || status === 206 || status === 404 || status === 410 || status === 416) return response;
      await response.body?.cancel();
      const hint = status === 401 || status === 403 ? "Does the file need an access token?" : undefined;
      failure = new SourceError(`The server answered ${status} ${response.statusText}`, { file: url }, hint);
      if (status !== 429 && status < 500) throw failure;
    } catch (cause) {
      signal?.throwIfAborted();
      if (cause instanceof SourceError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      failure = new SourceError(`The request failed: ${reason}`, { file: url }, undefined, { cause });
    }
    if (attempt === TRIES) throw failure;
    await wait(FIRST_WAIT_MS * 2 ** (attempt - 1), signal);
  }
}

function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
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
  response.body?.cancel().catch(() => {});
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
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  for await (const chunk of chunks(response, name, signal)) {
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

async function readWhole(
  response: Response,
  name: string,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const stated = response.headers.get("content-length");
  const refuse = (what: string) =>
    new SourceError(what, { file: name }, "Download the file and open it from disk, or raise wholeLimit");
  if (stated !== null && Number(stated) > limit) {
    await response.body?.cancel();
    throw refuse(`The server serves no ranges, and the file's ${stated} bytes are more than ${limit}`);
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks(response, name, signal)) {
    size += chunk.length;
    if (size > limit) throw refuse(`The server serves no ranges, and the file has more than ${limit} bytes`);
    parts.push(chunk);
  }
  const encoded = response.headers.get("content-encoding");
  if (stated !== null && (encoded === null || encoded === "identity") && size !== Number(stated)) {
    throw new SourceError(`The server promised ${stated} bytes and sent ${size}`, { file: name });
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The chunks of a body; leaving the loop early cancels the transfer. */
async function* chunks(response: Response, name: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (!reader) return;
  let finished = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        finished = true;
        return;
      }
      yield value;
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw new BrokenTransfer("The transfer broke off", { file: name }, undefined, { cause });
  } finally {
    if (!finished) await reader.cancel().catch(() => {});
  }
}
