import type { ByteSource } from "../source.js";

const FIRST_WINDOW = 1 << 20;
const LARGEST_WINDOW = 8 << 20;
/** Reads that leave out no more than this still go on where the last one ended: tensors are padded. */
const GAP = 64 << 10;

/**
 * A source that answers reads which go forwards from larger ones, for sources that pay per read, such as URLs. Reads
 * elsewhere pass through as they are.
 */
export function readAhead(source: ByteSource): ByteSource {
  let start = 0;
  let held = new Uint8Array(0);
  let window = 0;
  let end = -1;
  let last: Promise<unknown> = Promise.resolve();

  async function read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    if (length === 0 || offset + length > source.size) return source.read(offset, length, signal);
    const bytes = new Uint8Array(length);
    let done = 0;
    const take = () => {
      const at = offset + done;
      if (at < start || at >= start + held.length) return;
      const part = held.subarray(at - start, at - start + length - done);
      bytes.set(part, done);
      done += part.length;
    };
    take();
    const forwards = end >= 0 && offset >= end && offset - end <= GAP;
    window = done > 0 || forwards ? Math.min(LARGEST_WINDOW, Math.max(FIRST_WINDOW, window * 4)) : 0;
    end = offset + length;
    if (done === length) {
      // Answered from what is there: no request, no growth.
      window = Math.max(FIRST_WINDOW, window / 4);
      return bytes;
    }
    const at = offset + done;
    const fetched = await source.read(at, Math.min(source.size - at, Math.max(window, length - done)), signal);
    if (fetched.length > length - done) {
      start = at;
      held = new Uint8Array(fetched);
      take();
    } else bytes.set(fetched, done);
    return bytes;
  }

  return {
    ...source,
    name: source.name,
    size: source.size,
    read(offset, length, signal) {
      // One after the other: each may leave bytes for the next.
      const next = last.then(() => read(offset, length, signal));
      last = next.catch(() => {});
      return next;
    },
    async close() {
      held = new Uint8Array(0);
      await source.close?.();
    },
  };
}
