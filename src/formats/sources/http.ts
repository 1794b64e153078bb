import { SourceError } from "../../errors.js";
import { pause } from "../../platform/waiting.js";

/** Tries per request before a failure of the network or the server (429, 5xx) is reported. */
const TRIES = 4;
/** Wait before the second try, in milliseconds; doubles each time. */
const FIRST_WAIT_MS = 200;
/** A server that asks for a longer wait than this is not waited for. */
const LONGEST_WAIT_MS = 60_000;

/** The connection ended or stalled in the middle of an answer: worth another try. */
export class BrokenTransfer extends SourceError {}

/** How patient requests are. */
export interface Patience {
  /** Longest time until a server answers, in milliseconds. Default 30,000. */
  answerMs?: number | undefined;
  /** Longest time in which no byte of a body arrives, in milliseconds. Default 60,000. */
  stallMs?: number | undefined;
}

/**
 * Asks for a range of bytes, again where that may help: after failures of the network, 429 and 5xx, waiting as long as
 * the server says (Retry-After).
 * @returns an answer of status 200, 206, 404, 410 or 416
 * @throws SourceError saying what happened; the signal's reason
 */
export async function requestRange(
  url: string,
  headers: Record<string, string>,
  [start, end]: readonly [start: number, end: number],
  signal: AbortSignal | undefined,
  { answerMs = 30_000 }: Patience,
): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    let failure: SourceError;
    let waitMs = FIRST_WAIT_MS * 2 ** (attempt - 1);
    const stop = new AbortController();
    try {
      const answer = fetch(url, {
        // Compressed answers have lengths of their own.
        headers: { ...headers, Range: `bytes=${start}-${end}`, "Accept-Encoding": "identity" },
        signal: stop.signal,
      });
      const response = await inTime(answer, answerMs, signal, `The server did not answer within ${seconds(answerMs)}`);
      const { status } = response;
      if (status === 200 || status === 206 || status === 404 || status === 410 || status === 416) return response;
      drop(response);
      failure = new SourceError(
        `The server answered ${status} ${response.statusText}`.trimEnd(),
        { file: url },
        hint(status),
      );
      if (status !== 429 && status < 500) throw failure;
      const asked = retryAfter(response.headers) ?? 0;
      if (asked > LONGEST_WAIT_MS) throw failure;
      waitMs = Math.max(waitMs, asked);
    } catch (cause) {
      stop.abort();
      signal?.throwIfAborted();
      if (cause instanceof SourceError && !(cause instanceof BrokenTransfer)) throw cause;
      failure = networkError(cause, url);
    }
    if (attempt === TRIES) throw failure;
    await pause(waitMs, signal);
  }
}

/** Runs a transfer again when it broke off. */
export async function retried<Result>(signal: AbortSignal | undefined, run: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof BrokenTransfer) || attempt === TRIES) throw error;
      await pause(FIRST_WAIT_MS * 2 ** (attempt - 1), signal);
    }
  }
}

/**
 * The chunks of a body; leaving the loop early cancels the transfer. No read is waited for longer than the patience
 * allows, nor after the signal was aborted: some answers make `fetch` wait for ever.
 * @throws BrokenTransfer, or the signal's reason
 */
export async function* bodyChunks(
  response: Response,
  name: string,
  signal: AbortSignal | undefined,
  { stallMs = 60_000 }: Patience,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (!reader) return;
  let finished = false;
  try {
    for (;;) {
      const { done, value } = await inTime(reader.read(), stallMs, signal, `No byte arrived for ${seconds(stallMs)}`);
      if (done) {
        finished = true;
        return;
      }
      yield value;
    }
  } catch (cause) {
    signal?.throwIfAborted();
    const what = cause instanceof BrokenTransfer ? `The transfer stalled: ${cause.message}` : "The transfer broke off";
    throw new BrokenTransfer(what, { file: name }, undefined, { cause });
  } finally {
    if (!finished) reader.cancel().catch(() => {});
  }
}

/** Gives an answer up without waiting for it. */
export function drop(response: Response): void {
  response.body?.cancel().catch(() => {});
}

/** The promise, unless the time is up or the signal is aborted first. */
function inTime<Result>(
  promise: Promise<Result>,
  ms: number,
  signal: AbortSignal | undefined,
  tooLate: string,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(() => reject(new BrokenTransfer(tooLate))), ms);
    const stop = () => settle(() => reject(signal?.reason));
    const settle = (act: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      act();
    };
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop();
    promise.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}

/** Milliseconds that a server asks to wait (`Retry-After: 5`, or a date), where it does. */
export function retryAfter(headers: Headers): number | undefined {
  const header = headers.get("retry-after")?.trim();
  if (header === undefined) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

function hint(status: number): string | undefined {
  if (status === 401 || status === 403) return "Does the file need an access token, or its terms your agreement?";
  if (status === 429) return "It was asked too often: try again later";
  return status >= 500 ? "Try again later" : undefined;
}

/** Error codes of Node, Bun and Deno, in the words of people. */
const reasons: readonly [RegExp, string][] = [
  [/ECONNREFUSED|ConnectionRefused|connection refused/i, "nothing listens there (connection refused)"],
  [/ENOTFOUND|EAI_AGAIN|FailedToOpenSocket|dns error|failed to lookup/i, "the name of the server cannot be resolved"],
  [
    /ECONNRESET|ConnectionClosed|UND_ERR_SOCKET|other side closed|connection reset/i,
    "the server closed the connection",
  ],
  [/ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT|timed? ?out/i, "the server did not answer in time"],
  [/EHOSTUNREACH|ENETUNREACH|unreachable/i, "the server cannot be reached from here"],
  [/CERT|certificate|SELF_SIGNED|SSL|TLS/i, "its certificate cannot be trusted"],
  [/unknown scheme|ERR_INVALID_URL|Invalid URL|Failed to parse URL/i, "this is not an address"],
];

function networkError(cause: unknown, url: string): SourceError {
  if (cause instanceof BrokenTransfer)
    return new SourceError(cause.message, { file: url }, "Check address and network");
  const parts: string[] = [];
  for (let each: unknown = cause; each instanceof Error && parts.length < 6; each = each.cause) {
    const { code } = each as { code?: unknown };
    parts.push(`${typeof code === "string" ? `${code}: ` : ""}${each.message}`);
    // Node tries several addresses and reports all of them.
    if (each instanceof AggregateError && each.errors[0] instanceof Error) parts.push(each.errors[0].message);
  }
  const all = parts.join(" ");
  const known = reasons.find(([pattern]) => pattern.test(all))?.[1];
  const what = known ?? (parts.at(-1) || String(cause));
  return new SourceError(`The request failed: ${what}`, { file: url }, "Check address and network", { cause });
}

function seconds(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${Math.round(ms / 1000)} s`;
}
