import type { FileHandle } from "node:fs/promises";
import { SourceError } from "../errors.js";
import type { PartialBlob } from "./cache.js";
import { guarded } from "./disk-errors.js";

/** A part of a file in the cache, open for more. */
export class PartialFile implements PartialBlob {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #rename: (oid: string) => Promise<void>;
  #size: number;

  constructor(path: string, handle: FileHandle, size: number, rename: (oid: string) => Promise<void>) {
    this.#path = path;
    this.#handle = handle;
    this.#size = size;
    this.#rename = rename;
  }

  get size(): number {
    return this.#size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await guarded(this.#path, () =>
        this.#handle.read(bytes, done, length - done, offset + done),
      );
      if (bytesRead === 0) throw new SourceError("The file became shorter while it was read", { file: this.#path });
      done += bytesRead;
    }
    return bytes;
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await guarded(this.#path, () =>
        this.#handle.write(bytes, done, bytes.length - done, this.#size),
      );
      done += bytesWritten;
      this.#size += bytesWritten;
    }
  }

  async truncate(size: number): Promise<void> {
    await guarded(this.#path, () => this.#handle.truncate(size));
    this.#size = size;
  }

  async finish(oid: string): Promise<void> {
    await guarded(this.#path, () => this.#handle.sync());
    await this.#handle.close();
    await this.#rename(oid);
  }

  async close(): Promise<void> {
    await this.#handle.sync().catch(() => {});
    await this.#handle.close().catch(() => {});
  }
}
