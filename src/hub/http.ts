import { DownloadError, SourceError } from "../errors.js";
import { retryAfter } from "../formats/sources/http.js";
import { platform } from "../platform/platform.js";
import { pause } from "../platform/waiting.js";
import type { HubSettings } from "./settings.js";

/** Tries without any progress before a failure is reported. */
const TRIES = 5;
/** A server that asks for a longer pause is reported instead of waited for. */
const LONGEST_WAIT_MS = 60_000;
const MOST_REDIRECTS = 10;

/** A failure that may pass: worth another try. */
export class PassingFailure extends DownloadError {
  /** Milliseconds the server wants us to wait. */
  readonly waitMs: number | undefined;

  constructor(what: string, file: string, waitMs?: number, cause?: unknown) {
    super(what, { file }, "Try again later: what was downloaded is kept", { cause });
    this.waitMs = waitMs;
  }
}

/** Counts failures in a row and waits longer after each. */
export class Patience {
  readonly #retryMs: number;
  #failures = 0;

  constructor(settings: HubSettings) {
    this.#retryMs = settings.retryMs;
  }

  /** Something went well: counting starts anew. */
  progress(): void {
    this.#failures = 0;
  }

  /** Waits before the next try. @throws the error itself when it is no use, or the signal's reason */
  async failed(error: unknown, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (!(error instanceof PassingFailure) || ++this.#failures >= TRIES) throw error;
    const wait = error.waitMs ?? this.#retryMs * 2 ** (this.#failures - 1);
    if (wait > LONGEST_WAIT_MS) throw error;
    await pause(wait, signal);
  }
}

/** An answer whose body is read in chunks; a body that stalls fails. */
export interface Answer {
  status: number;
  headers: Headers;
  /** Address that answered, after redirects. */
  url: string;
  /** @throws PassingFailure when the transfer breaks off or stalls, or the signal's reason */
  chunks(): AsyncGenerator<Uint8Array>;
  /** Text of at most `limit` bytes. */
  text(limit: number): Promise<string>;
  /** Ends the transfer. */
  cancel(): Promise<void>;
}

/** What was asked for; only for messages. */
export interface AskOptions {
  method?: "GET" | "HEAD" | undefined;
  headers?: Record<string, string> | undefined;
  signal?: AbortSignal | undefined;
  /** Statuses that the caller handles besides 200 and 206. */
  accept?: readonly number[] | undefined;
}

/**
 * One request, redirects followed by hand: the token goes to the hub's own origin and nowhere else, and never from
 * https to http.
 * @throws PassingFailure for what may pass (network, 408, 429, 5xx), SourceError for what the user can mend (401, 403,
 * 404), DownloadError for the rest
 */
export async function ask(settings: HubSettings, address: string, options: AskOptions = {}): Promise<Answer> {
  const { method = "GET", signal, accept = [] } = options;
  const controller = new AbortController();
  const abort = () => controller.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  const done = () => signal?.removeEventListener("abort", abort);
  const failure = (cause: unknown): unknown => {
    done();
    if (signal?.aborted) return signal.reason;
    if (cause instanceof DownloadError || cause instanceof SourceError) return cause;
    const stalled = controller.signal.aborted;
    const what = stalled ? `No byte came for ${settings.idleMs / 1000} s` : `The connection failed: ${reason(cause)}`;
    return new PassingFailure(what, address, undefined, cause);
  };
  const idle = watchdog(settings.idleMs, () => controller.abort(new Error("idle")));
  let response: Response;
  let url = address;
  try {
    for (let hop = 0; ; hop++) {
      idle.start();
      response = await fetch(url, {
        method,
        headers: headersFor(settings, url, options.headers),
        redirect: platform === "browser" ? "follow" : "manual",
        signal: controller.signal,
      });
      if (![301, 302, 303, 307, 308].includes(response.status)) break;
      await response.body?.cancel();
      url = redirectTarget(response, url, hop);
    }
    url = response.url || url;
    idle.stop();
    const { status, headers } = response;
    if (status !== 200 && status !== 206 && !accept.includes(status)) {
      await response.body?.cancel().catch(() => {});
      throw refusal(settings, status, headers, address);
    }
  } catch (cause) {
    idle.stop();
    throw failure(cause);
  }
  // Taken at once: Node 20 ends the body, without an error, of an answer that was garbage-collected before it was read.
  const reader = response.body?.getReader();
  const cancel = async () => {
    idle.stop();
    done();
    controller.abort();
    await reader?.cancel().catch(() => {});
  };
  async function* chunks(): AsyncGenerator<Uint8Array> {
    if (!reader) return done();
    try {
      for (;;) {
        idle.start();
        const { done: ended, value } = await reader.read();
        idle.stop();
        if (ended) return;
        yield value;
      }
    } catch (cause) {
      throw failure(cause);
    } finally {
      idle.stop();
      done();
      await reader.cancel().catch(() => {});
      controller.abort();
    }
  }
  return {
    status: response.status,
    headers: response.headers,
    url,
    chunks,
    cancel,
    async text(limit) {
      const parts: Uint8Array[] = [];
      let size = 0;
      for await (const part of chunks()) {
        size += part.length;
        if (size > limit) throw new DownloadError(`The answer has more than ${limit} bytes`, { file: address });
        parts.push(part);
      }
      const decoder = new TextDecoder();
      return parts.map((part) => decoder.decode(part, { stream: true })).join("") + decoder.decode();
    },
  };
}

/** `ask`, repeated while the failure may pass. */
export async function askPatiently<Result>(
  settings: HubSettings,
  address: string,
  options: AskOptions,
  read: (answer: Answer) => Promise<Result>,
): Promise<Result> {
  const patience = new Patience(settings);
  for (;;) {
    try {
      return await read(await ask(settings, address, options));
    } catch (error) {
      await patience.failed(error, options.signal);
    }
  }
}

function headersFor(settings: HubSettings, url: string, own: Record<string, string> = {}): Record<string, string> {
  // Compressed answers have lengths of their own. A page may not set these two.
  const common: Record<string, string> =
    platform === "browser" ? {} : { "Accept-Encoding": "identity", "User-Agent": "deltallm" };
  const ours = settings.token !== undefined && new URL(url).origin === new URL(settings.endpoint).origin;
  return { ...common, ...own, ...(ours ? { Authorization: `Bearer ${settings.token}` } : {}) };
}

function redirectTarget(response: Response, from: string, hop: number): string {
  const location = response.headers.get("location");
  const wrong = (what: string) => new DownloadError(what, { file: from });
  if (hop >= MOST_REDIRECTS) throw wrong(`More than ${MOST_REDIRECTS} redirects`);
  if (!location || !URL.canParse(location, from)) throw wrong("The server redirects to nowhere");
  const target = new URL(location, from);
  if (target.protocol !== "https:" && target.protocol !== "http:")
    throw wrong("The server redirects to no web address");
  if (target.protocol === "http:" && from.startsWith("https:"))
    throw wrong("The server redirects from https to http, which is not followed");
  return target.href;
}

function refusal(settings: HubSettings, status: number, headers: Headers, address: string): Error {
  const place = { file: address };
  const code = headers.get("x-error-code");
  if (status === 401 || status === 403) {
    const gated = code === "GatedRepo";
    const what = gated
      ? `Access to this repository has to be asked for (${status})`
      : `The server refuses access (${status})`;
    const open = "open the model's page in a browser and accept its terms";
    const hint = settings.token
      ? `Does the token in HF_TOKEN belong to an account that may read this${gated ? `? If not, ${open}` : "?"}`
      : `Set HF_TOKEN to an access token${gated ? `, and ${open}` : "; or is the name wrong? The hub answers so for repositories it does not have"}`;
    return new SourceError(what, place, hint);
  }
  if (status === 404 || status === 410) {
    const what =
      code === "RevisionNotFound"
        ? "The repository has no such revision"
        : code === "EntryNotFound"
          ? "The repository has no such file"
          : code === "RepoNotFound"
            ? "There is no such repository, or it is private"
            : "The server has nothing there";
    return new SourceError(`${what} (${status})`, place, "Is the name right?");
  }
  if (status === 408 || status === 429 || status >= 500) {
    const wait = retryAfter(headers);
    const what = status === 429 ? "The server has had too many requests (429)" : `The server answers ${status}`;
    const pauses = wait !== undefined && wait > LONGEST_WAIT_MS ? ` and asks to wait ${Math.ceil(wait / 1000)} s` : "";
    return new PassingFailure(`${what}${pauses}`, address, wait);
  }
  return new DownloadError(`The server answers ${status}`, place);
}

function watchdog(ms: number, bark: () => void): { start(): void; stop(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = () => clearTimeout(timer);
  return {
    stop,
    start() {
      stop();
      timer = setTimeout(bark, ms);
    },
  };
}

/** Why a fetch failed, in one line: the runtimes hide it in causes. */
export function reason(cause: unknown): string {
  let text = "";
  for (let error = cause, depth = 0; error instanceof Error && depth < 4; error = error.cause, depth++) {
    const code = (error as { code?: unknown }).code;
    const inner = error instanceof AggregateError ? error.errors[0] : undefined;
    text = error.message || (typeof code === "string" ? code : "") || (inner instanceof Error ? inner.message : text);
  }
  return (text || String(cause)).replace(/\s+/g, " ").slice(0, 200);
}
