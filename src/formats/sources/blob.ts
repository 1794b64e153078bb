import { SourceError } from "../../errors.js";
import type { ByteSource } from "../source.js";
import { checkRange, closedError } from "./range.js";

/** A Blob or File, as from a file input or drag and drop. Only the ranges asked for are read into memory. */
export function blobSource(blob: Blob, name = blobName(blob)): ByteSource {
  let closed = false;
  return {
    name,
    size: blob.size,
    async read(offset, length, signal) {
      signal?.throwIfAborted();
      if (closed) throw closedError(name);
      checkRange(name, blob.size, offset, length);
      let bytes: Uint8Array;
      try {
        bytes = new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (cause) {
        throw new SourceError(
          "The blob could not be read",
          { file: name, offset },
          "Has the file changed since it was chosen?",
          { cause },
        );
      }
      signal?.throwIfAborted();
      if (bytes.byteLength !== length) {
        throw new SourceError(`Asked for ${length} bytes, got ${bytes.byteLength}`, { file: name, offset });
      }
      return bytes;
    },
    async close() {
      closed = true;
    },
  };
}

function blobName(blob: Blob): string {
  return "name" in blob && typeof blob.name === "string" ? blob.name : "blob";
}
