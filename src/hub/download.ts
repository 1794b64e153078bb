import { DownloadError } from "../errors.js";
import type { ModelCache, PartialBlob } from "./cache.js";
import { type HashKind, type StreamingHash, startHash } from "./hash.js";
import { type Answer, ask, PassingFailure, Patience } from "./http.js";
import type { HubSettings } from "./settings.js";
import { fetchWindows } from "./windows.js";

/** Bytes collected before they are written. */
const WRITE_BYTES = 1 << 20;
const READ_BYTES = 4 << 20;
/** A connection below this many bytes per second is slow, if what is left would take it longer than `LONG_MS`. */
const SLOW_BYTES_PER_SECOND = 8e6;
const LONG_MS = 8000;
/** Times a download may start again from nothing because what was there does not fit. */
const MOST_RESTARTS = 5;

/** A file to download into a blob. */
export interface Wanted {
  address: string;
  key: string;
  /** Name of the partial blob. */
  blob: string;
  /** Bytes it must have. */
  size: number;
  /** The hash it must have; undefined where nobody says. */
  hash: (HashKind & { digest: string }) | undefined;
  /** For messages. */
  name: string;
}

export interface DownloadOptions {
  signal?: AbortSignal | undefined;
  /** Bytes of this file that are there. */
  onBytes?: ((bytes: number) => void) | undefined;
}

export interface Downloaded {
  /** SHA-256 of the content, whatever the hub names it by. */
  sha256: string;
  /** Bytes that came over the network in this call. */
  fetchedBytes: number;
  /** Bytes that were there from an earlier try. */
  resumedBytes: number;
}

/** The bytes are complete and wrong. */
class WrongBytes extends DownloadError {}

/**
 * Downloads a file, going on where an earlier try ended, checks it from its first byte to its last, and only then gives
 * it its final name. The caller holds the lock.
 * @throws DownloadError, SourceError, or the signal's reason; what was downloaded stays, unless it is wrong
 */
export async function download(
  settings: HubSettings,
  cache: ModelCache,
  wanted: Wanted,
  options: DownloadOptions = {},
): Promise<Downloaded> {
  const run = new Download(settings, cache, wanted, options, await cache.partial(wanted.key, wanted.blob));
  return run.run();
}

class Download {
  readonly #settings: HubSettings;
  readonly #cache: ModelCache;
  readonly #wanted: Wanted;
  readonly #options: DownloadOptions;
  readonly #partial: PartialBlob;
  readonly #buffer = new Uint8Array(WRITE_BYTES);
  #buffered = 0;
  #fetched = 0;
  #restarts = 0;
  #severalConnections = true;
  #sha256!: StreamingHash;
  #named: StreamingHash | undefined;

  constructor(
    settings: HubSettings,
    cache: ModelCache,
    wanted: Wanted,
    options: DownloadOptions,
    partial: PartialBlob,
  ) {
    this.#settings = settings;
    this.#cache = cache;
    this.#wanted = wanted;
    this.#options = options;
    this.#partial = partial;
  }

  async run(): Promise<Downloaded> {
    const { size } = this.#wanted;
    let finished = false;
    try {
      if (this.#partial.size > size) await this.#partial.truncate(0);
      await this.#startHashes();
      await this.#hashPartial();
      let resumedBytes = this.#partial.size;
      for (;;) {
        await this.#fetchAll(() => {
          resumedBytes = 0;
        });
        const sha256 = this.#sha256.digest();
        const { hash } = this.#wanted;
        const digest = this.#named ? this.#named.digest() : sha256;
        if (!hash || digest === hash.digest) {
          finished = true;
          await this.#partial.finish(hash?.digest ?? sha256);
          await this.#note(undefined);
          return { sha256, fetchedBytes: this.#fetched, resumedBytes };
        }
        // What an earlier try left may be to blame; what came in one go is not asked for twice.
        const again = resumedBytes > 0 || this.#restarts > 0;
        resumedBytes = 0;
        await this.#restart();
        if (again && this.#restarts < MOST_RESTARTS) continue;
        const expected = `${hash.kind === "git" ? "git's SHA-1" : "SHA-256"} ${hash.digest}`;
        throw new WrongBytes(
          `The server sent other bytes than the hub names: ${digest} instead of ${expected}`,
          { file: this.#wanted.name },
          "They were thrown away; try again, or another endpoint",
        );
      }
    } finally {
      if (!finished) await this.#partial.close();
    }
  }

  /** Asks until every byte is there. */
  async #fetchAll(onRestart: () => void): Promise<void> {
    const { size } = this.#wanted;
    const { signal } = this.#options;
    const patience = new Patience(this.#settings);
    while (this.#partial.size < size) {
      signal?.throwIfAborted();
      const before = this.#partial.size;
      let restarted = false;
      try {
        restarted = await this.#fetchOnce();
      } catch (error) {
        // A cut connection that brought something is no reason to give up, unless the server always starts anew.
        if (this.#partial.size > before) patience.progress();
        await patience.failed(error, signal);
      }
      if (restarted) onRestart();
    }
    // An empty file is never asked for.
    this.#options.onBytes?.(this.#partial.size);
  }

  /** One request; whether it started from nothing although something was there. */
  async #fetchOnce(): Promise<boolean> {
    const { address } = this.#wanted;
    const { signal } = this.#options;
    const offset = this.#partial.size;
    const version = offset > 0 ? await this.#cache.readNote(this.#wanted.key, `${this.#wanted.blob}.etag`) : undefined;
    const headers: Record<string, string> = {};
    if (offset > 0) {
      headers.Range = `bytes=${offset}-`;
      // In browsers this header would need the server's leave; the version is compared below as well.
      if (version && this.#cache.name !== "OPFS") headers["If-Range"] = version;
    }
    const answer = await ask(this.#settings, address, { headers, signal, accept: [416] });
    if (!(await this.#goesOn(answer, offset, version))) {
      await answer.cancel();
      await this.#restart();
      return true;
    }
    const anew = answer.status === 200;
    if (anew && offset > 0) await this.#restart();
    if (anew) await this.#note(versionOf(answer.headers));
    await this.#take(answer);
    return anew && offset > 0;
  }

  /** Whether the answer's bytes can be used. @throws DownloadError when they never will be */
  async #goesOn(answer: Answer, offset: number, version: string | undefined): Promise<boolean> {
    const { size, name } = this.#wanted;
    const refuse = async (what: string): Promise<never> => {
      await answer.cancel();
      throw new DownloadError(what, { file: name }, "Is the server's copy another one than the hub's?");
    };
    if (answer.status === 416) {
      if (offset === 0) await refuse("The server refuses to send the file (416)");
      return false;
    }
    const encoded = answer.headers.get("content-encoding");
    if (answer.status === 200) {
      const length = answer.headers.get("content-length");
      if (length !== null && (encoded === null || encoded === "identity") && Number(length) !== size)
        await refuse(`The file has ${size} bytes, the server sends ${length}`);
      return true;
    }
    const now = versionOf(answer.headers);
    if (version !== undefined && now !== undefined && now !== version) return false;
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(answer.headers.get("content-range") ?? "");
    // Browsers hide the header where the server does not expose it; the length and the hash tell in the end.
    if (!range) return answer.headers.has("content-range") ? false : offset > 0;
    if (range[3] !== "*" && Number(range[3]) !== size)
      await refuse(`The file has ${size} bytes, the server's has ${range[3]}`);
    return Number(range[1]) === offset;
  }

  async #take(answer: Answer): Promise<void> {
    const { size, name } = this.#wanted;
    const { headers } = answer;
    const ranges = answer.status === 206 || headers.get("accept-ranges") === "bytes";
    const started = Date.now();
    const before = this.#fetched;
    try {
      for await (const chunk of answer.chunks()) {
        await this.#accept(chunk);
        const ms = Date.now() - started;
        if (!ranges || !this.#severalConnections || ms < this.#settings.slowMs) continue;
        const perMs = (this.#fetched - before) / ms;
        const left = size - this.#partial.size - this.#buffered;
        if (perMs * 1000 < SLOW_BYTES_PER_SECOND && left / perMs > LONG_MS) {
          await answer.cancel();
          return await this.#takeWindows(answer);
        }
      }
    } finally {
      // Also after a failure: it is what the next try goes on from.
      await this.#flush();
    }
    if (this.#partial.size < size)
      throw new PassingFailure(`The transfer ended after ${this.#partial.size} of ${size} bytes`, name);
  }

  /** What is left, over several connections; should that fail, the next try has one again. */
  async #takeWindows({ url, headers }: Answer): Promise<void> {
    this.#severalConnections = false;
    const { size } = this.#wanted;
    const from = this.#partial.size + this.#buffered;
    const rest = { address: url, from, size, version: versionOf(headers), versionOf, signal: this.#options.signal };
    for await (const window of fetchWindows(this.#settings, rest)) await this.#accept(window);
    this.#severalConnections = true;
  }

  async #accept(chunk: Uint8Array): Promise<void> {
    const { size, name } = this.#wanted;
    if (this.#partial.size + this.#buffered + chunk.length > size)
      throw new DownloadError(`The file has ${size} bytes, the server sends more`, { file: name });
    this.#fetched += chunk.length;
    await this.#add(chunk);
    this.#options.onBytes?.(this.#partial.size + this.#buffered);
  }

  async #add(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.length; ) {
      const part = chunk.subarray(done, done + WRITE_BYTES - this.#buffered);
      this.#buffer.set(part, this.#buffered);
      this.#buffered += part.length;
      done += part.length;
      if (this.#buffered === WRITE_BYTES) await this.#flush();
    }
  }

  async #flush(): Promise<void> {
    const bytes = this.#buffer.subarray(0, this.#buffered);
    this.#buffered = 0;
    if (bytes.length === 0) return;
    await this.#partial.append(bytes);
    this.#hash(bytes);
  }

  async #restart(): Promise<void> {
    if (++this.#restarts > MOST_RESTARTS)
      throw new DownloadError(
        "The download began anew too often: the file changes, or the server sends no parts and breaks off",
        { file: this.#wanted.name },
        "Try again later",
      );
    this.#buffered = 0;
    await this.#partial.truncate(0);
    await this.#note(undefined);
    await this.#startHashes();
  }

  async #startHashes(): Promise<void> {
    const { hash } = this.#wanted;
    this.#sha256 = await startHash({ kind: "sha256" });
    this.#named = hash?.kind === "git" ? await startHash(hash) : undefined;
  }

  #hash(bytes: Uint8Array): void {
    this.#sha256.update(bytes);
    this.#named?.update(bytes);
  }

  /** What an earlier try left is part of the file, and of its hash. */
  async #hashPartial(): Promise<void> {
    for (let at = 0; at < this.#partial.size; at += READ_BYTES) {
      this.#options.signal?.throwIfAborted();
      this.#hash(await this.#partial.read(at, Math.min(READ_BYTES, this.#partial.size - at)));
      this.#options.onBytes?.(this.#partial.size);
    }
  }

  #note(version: string | undefined): Promise<void> {
    return this.#cache.writeNote(this.#wanted.key, `${this.#wanted.blob}.etag`, version);
  }
}

/** What If-Range takes: a strong ETag, or else the date. */
export function versionOf(headers: Headers): string | undefined {
  const tag = headers.get("etag");
  if (tag && !tag.startsWith("W/")) return tag;
  return headers.get("last-modified") ?? undefined;
}
