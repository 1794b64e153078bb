import type { ByteSource } from "../source.js";
import { checkRange, closedError } from "./range.js";

/** Bytes already in memory. Reads return views of them, not copies; do not write into what `read` returns. */
export function bytesSource(bytes: Uint8Array, name = "bytes in memory"): ByteSource {
  let closed = false;
  return {
    name,
    size: bytes.byteLength,
    async read(offset, length, signal) {
      signal?.throwIfAborted();
      if (closed) throw closedError(name);
      checkRange(name, bytes.byteLength, offset, length);
      return bytes.subarray(offset, offset + length);
    },
    async close() {
      closed = true;
    },
  };
}
