import { type Answer, ask, PassingFailure, Patience } from "./http.js";
import type { HubSettings } from "./settings.js";

const CONNECTIONS = 4;
const LARGEST_WINDOW = 8 << 20;
const SMALLEST_WINDOW = 256 << 10;

/** The rest of a file whose first connection was slow. */
export interface Rest {
  address: string;
  /** First byte wanted. */
  from: number;
  /** Bytes of the whole file. */
  size: number;
  /** ETag or date that every part must have, where it is known. */
  version: string | undefined;
  versionOf(headers: Headers): string | undefined;
  signal: AbortSignal | undefined;
}

/**
 * The rest of a file, fetched in windows over several connections and given out in order. At most four windows are held
 * in memory.
 * @throws PassingFailure when the server does not play along, or the signal's reason
 */
export async function* fetchWindows(settings: HubSettings, rest: Rest): AsyncGenerator<Uint8Array> {
  const { from, size } = rest;
  const share = Math.ceil((size - from) / (CONNECTIONS * 4));
  const length = Math.min(LARGEST_WINDOW, Math.max(SMALLEST_WINDOW, share));
  const stop = new AbortController();
  const abort = () => stop.abort(rest.signal?.reason);
  rest.signal?.addEventListener("abort", abort, { once: true });
  if (rest.signal?.aborted) abort();
  const running: Promise<Uint8Array>[] = [];
  let next = from;
  const start = () => {
    while (running.length < CONNECTIONS && next < size) {
      const window = fetchWindow(settings, rest, next, Math.min(length, size - next), stop.signal);
      // Heard when it is its turn; the ones after a failure are nobody's business.
      window.catch(() => {});
      running.push(window);
      next += length;
    }
  };
  try {
    for (start(); running.length > 0; start()) yield (await running.shift()) as Uint8Array;
  } finally {
    rest.signal?.removeEventListener("abort", abort);
    stop.abort(new Error("not wanted any more"));
  }
}

async function fetchWindow(
  settings: HubSettings,
  { address, size, version, versionOf }: Rest,
  at: number,
  length: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const patience = new Patience(settings);
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    try {
      const headers = { Range: `bytes=${at + done}-${at + length - 1}` };
      const answer = await ask(settings, address, { headers, signal });
      await check(answer, at + done);
      for await (const chunk of answer.chunks()) {
        if (done + chunk.length > length) throw misfit();
        bytes.set(chunk, done);
        done += chunk.length;
        patience.progress();
      }
      if (done < length) throw new PassingFailure("The transfer ended too early", address);
    } catch (error) {
      if (error instanceof Misfit) throw error;
      await patience.failed(error, signal);
    }
  }
  return bytes;

  async function check(answer: Answer, offset: number): Promise<void> {
    const now = versionOf(answer.headers);
    const range = answer.headers.get("content-range");
    const right =
      range === null || (range.startsWith(`bytes ${offset}-`) && new RegExp(`/(?:${size}|\\*)$`).test(range));
    if (answer.status === 206 && right && (version === undefined || now === undefined || now === version)) return;
    await answer.cancel();
    throw misfit();
  }

  function misfit(): Misfit {
    return new Misfit("The server does not send the parts that were asked for", address);
  }
}

/** Asked again, it would be no better; the whole download may go on over one connection. */
class Misfit extends PassingFailure {}
