import { SourceError } from "../errors.js";
import type { ByteSource } from "../formats/source.js";
import { checkRange, closedError } from "../formats/sources/range.js";
import { type Answer, ask, PassingFailure, Patience } from "./http.js";
import type { HubSettings } from "./settings.js";

/** Bytes of one request: few requests for weights, little too much for a header. */
const WINDOW_BYTES = 8 << 20;
const FIRST_WINDOW_BYTES = 256 << 10;

/**
 * A file of the hub that is read where it is, without the cache: for looking at headers, and for browsers that keep
 * nothing. Reads that go forwards share requests.
 * @throws DownloadError, SourceError
 */
export function remoteFile(settings: HubSettings, address: string, size: number): ByteSource {
  let closed = false;
  let start = 0;
  let held = new Uint8Array(0);
  return {
    name: address,
    size,
    async read(offset, length, signal, into) {
      signal?.throwIfAborted();
      if (closed) throw closedError(address);
      checkRange(address, size, offset, length);
      const bytes = into ? into.subarray(0, length) : new Uint8Array(length);
      for (let done = 0; done < length; ) {
        const at = offset + done;
        if (at < start || at >= start + held.length) {
          const window = start + held.length === 0 ? FIRST_WINDOW_BYTES : WINDOW_BYTES;
          held = await fetchWindow(at, Math.min(size - at, Math.max(window, length - done)), signal);
          start = at;
        }
        const part = held.subarray(at - start, at - start + length - done);
        bytes.set(part, done);
        done += part.length;
      }
      return bytes;
    },
    async close() {
      closed = true;
      held = new Uint8Array(0);
    },
  };

  async function fetchWindow(
    at: number,
    length: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const patience = new Patience(settings);
    for (;;) {
      try {
        const headers = { Range: `bytes=${at}-${at + length - 1}` };
        return await take(await ask(settings, address, { headers, signal }), at, length);
      } catch (error) {
        await patience.failed(error, signal);
      }
    }
  }

  async function take(answer: Answer, at: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (answer.status !== 206 && (at !== 0 || length !== size)) {
      await answer.cancel();
      throw new SourceError("The server sends no parts of files", { file: address }, "Pull the model instead");
    }
    const bytes = new Uint8Array(length);
    let done = 0;
    for await (const chunk of answer.chunks()) {
      if (done + chunk.length > length)
        throw new SourceError("The server sends more than was asked for", { file: address });
      bytes.set(chunk, done);
      done += chunk.length;
    }
    if (done < length) throw new PassingFailure(`The transfer ended after ${done} of ${length} bytes`, address);
    return bytes;
  }
}
