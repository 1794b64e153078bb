import type { FileHandle } from "node:fs/promises";
import { SourceError } from "../../errors.js";
import { nodeModules } from "../../platform/node-modules.js";
import type { ByteSource } from "../source.js";
import { checkRange, closedError } from "./range.js";

/** Largest single read call: Node refuses lengths of 2 GiB and more. */
const READ_CALL_BYTES = 2 ** 30;
/** Of a file this small, each of a model's hundreds of reads takes longer than its bytes. */
const SMALL_FILE_BYTES = 4 << 20;

/**
 * A file on disk, in Node, Deno and Bun (all through `node:fs/promises`). Reads are positioned: several may be
 * under way at once.
 * @param wholeBytes files up to this are read at once
 * @throws SourceError when the path does not exist, is not a regular file or may not be read.
 */
export async function fileSource(path: string, wholeBytes = SMALL_FILE_BYTES): Promise<ByteSource> {
  const fs = await nodeModules.fs();
  const refuse = (cause: unknown): never => {
    throw new SourceError(`The file cannot be opened: ${reason(cause)}`, { file: path }, undefined, { cause });
  };
  // Before it is opened: opening a pipe waits for somebody who writes to it.
  if (!(await fs.stat(path).catch(refuse)).isFile())
    throw new SourceError("This is not a regular file", { file: path }, "Name a file on a disk");
  const handle = await fs.open(path, "r").catch(refuse);
  const opened = await handle.stat();
  const { size } = opened;
  let closed = false;
  let content: Promise<Uint8Array | undefined> | undefined;
  return {
    name: path,
    size,
    async read(offset, length, signal, into) {
      signal?.throwIfAborted();
      if (closed) throw closedError(path);
      checkRange(path, size, offset, length);
      if (size <= wholeBytes) {
        content ??= readWhole(handle, size);
        const whole = await content;
        if (closed) throw closedError(path);
        signal?.throwIfAborted();
        if (whole) return whole.subarray(offset, offset + length);
      }
      const bytes = into ? into.subarray(0, length) : new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const ask = Math.min(length - done, READ_CALL_BYTES);
        const { bytesRead } = await handle.read(bytes, done, ask, offset + done).catch((cause: unknown) => {
          if (closed) throw closedError(path);
          throw new SourceError(`The file cannot be read: ${reason(cause)}`, { file: path, offset }, undefined, {
            cause,
          });
        });
        signal?.throwIfAborted();
        if (bytesRead === 0) {
          throw new SourceError(
            `Asked for ${length} bytes, got ${done}`,
            { file: path, offset },
            "Was the file truncated while it was open?",
          );
        }
        done += bytesRead;
      }
      return bytes;
    },
    async unchanged() {
      const now = closed ? opened : await handle.stat();
      const there = await fs.stat(path).catch(() => undefined);
      // A file system may have no numbers for files.
      const same = (stat: typeof opened) =>
        stat.mtimeMs === opened.mtimeMs && stat.size === size && (stat.ino === opened.ino || !stat.ino);
      if (!same(now) || (there && !same(there)))
        throw new SourceError("The file changed while it was read", { file: path }, "Load it again");
    },
    async close() {
      if (closed) return;
      closed = true;
      content = undefined;
      await handle.close();
    },
  };
}

/** All of a file; undefined when it has changed or cannot be read, which single reads then tell. */
async function readWhole(handle: FileHandle, size: number): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(size);
  const { bytesRead } = await handle.read(bytes, 0, size, 0).catch(() => ({ bytesRead: 0 }));
  return bytesRead === size ? bytes : undefined;
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
