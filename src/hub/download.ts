import { DownloadError } from "../errors.js";
import type { ModelCache } from "./cache.js";
import type { HashKind } from "./hash.js";
import { HashedBlob } from "./hashed-blob.js";
import { type Answer, ask, PassingFailure, Patience } from "./http.js";
import type { HubSettings } from "./settings.js";
import { fetchWindows } from "./windows.js";

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
  const blob = new HashedBlob(await cache.partial(wanted.key, wanted.blob), wanted.hash);
  return new Download(settings, cache, wanted, options, blob).run();
}

class Download {
  readonly #settings: HubSettings;
  readonly #cache: ModelCache;
  readonly #wanted: Wanted;
  readonly #options: DownloadOptions;
  readonly #blob: HashedBlob;
  #fetched = 0;
  #restarts = 0;
  #severalConnections = true;

  constructor(settings: HubSettings, cache: ModelCache, wanted: Wanted, options: DownloadOptions, blob: HashedBlob) {
    this.#settings = settings;
    this.#cache = cache;
    this.#wanted = wanted;
    this.#options = options;
    this.#blob = blob;
  }

  async run(): Promise<Downloaded> {
    const { size } = this.#wanted;
    let finished = false;
    try {
      const { signal, onBytes } = this.#options;
      await this.#blob.begin(size, () => {
        signal?.throwIfAborted();
        onBytes?.(this.#blob.written);
      });
      let resumedBytes = this.#blob.written;
      for (;;) {
        await this.#fetchAll(() => {
          resumedBytes = 0;
        });
        const { sha256, named: digest } = this.#blob.digests();
        const { hash } = this.#wanted;
        if (!hash || digest === hash.digest) {
          finished = true;
          await this.#blob.finish(hash?.digest ?? sha256);
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
      if (!finished) await this.#blob.close();
    }
  }

  /** Asks until every byte is there. */
  async #fetchAll(onRestart: () => void): Promise<void> {
    const { size } = this.#wanted;
    const { signal } = this.#options;
    const patience = new Patience(this.#settings);
    while (this.#blob.written < size) {
      signal?.throwIfAborted();
      const before = this.#blob.written;
      let restarted = false;
      try {
        restarted = await this.#fetchOnce();
      } catch (error) {
        // A cut connection that brought something is no reason to give up, unless the server always starts anew.
        if (this.#blob.written > before) patience.progress();
        await patience.failed(error, signal);
      }
      if (restarted) onRestart();
    }
    // An empty file is never asked for.
    this.#options.onBytes?.(this.#blob.written);
  }

  /** One request; whether it started from nothing although something was there. */
  async #fetchOnce(): Promise<boolean> {
    const { address } = this.#wanted;
    const { signal } = this.#options;
    const offset = this.#blob.written;
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
        const left = size - this.#blob.size;
        if (perMs * 1000 < SLOW_BYTES_PER_SECOND && left / perMs > LONG_MS) {
          await answer.cancel();
          return await this.#takeWindows(answer);
        }
      }
    } finally {
      // Also after a failure: it is what the next try goes on from.
      await this.#blob.flush();
    }
    if (this.#blob.written < size)
      throw new PassingFailure(`The transfer ended after ${this.#blob.written} of ${size} bytes`, name);
  }

  /** What is left, over several connections; should that fail, the next try has one again. */
  async #takeWindows({ url, headers }: Answer): Promise<void> {
    this.#severalConnections = false;
    const { size } = this.#wanted;
    const from = this.#blob.size;
    const rest = { address: url, from, size, version: versionOf(headers), versionOf, signal: this.#options.signal };
    for await (const window of fetchWindows(this.#settings, rest)) await this.#accept(window);
    this.#severalConnections = true;
  }

  async #accept(chunk: Uint8Array): Promise<void> {
    const { size, name } = this.#wanted;
    if (this.#blob.size + chunk.length > size)
      throw new DownloadError(`The file has ${size} bytes, the server sends more`, { file: name });
    this.#fetched += chunk.length;
    await this.#blob.add(chunk);
    this.#options.onBytes?.(this.#blob.size);
  }

  async #restart(): Promise<void> {
    if (++this.#restarts > MOST_RESTARTS)
      throw new DownloadError(
        "The download began anew too often: the file changes, or the server sends no parts and breaks off",
        { file: this.#wanted.name },
        "Try again later",
      );
    await this.#blob.restart();
    await this.#note(undefined);
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
