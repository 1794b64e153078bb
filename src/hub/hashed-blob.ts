import type { PartialBlob } from "./cache.js";
import { type HashKind, type StreamingHash, startHash } from "./hash.js";

/** Bytes collected before they are written. */
const WRITE_BYTES = 1 << 20;
const READ_BYTES = 4 << 20;

/** A partial blob that is hashed as it grows, what an earlier try left included. */
export class HashedBlob {
  readonly #partial: PartialBlob;
  readonly #kind: HashKind | undefined;
  readonly #buffer = new Uint8Array(WRITE_BYTES);
  #buffered = 0;
  #sha256!: StreamingHash;
  #named: StreamingHash | undefined;

  /** @param kind of the hash the content must have */
  constructor(partial: PartialBlob, kind: HashKind | undefined) {
    this.#partial = partial;
    this.#kind = kind;
  }

  /** Bytes that are written. */
  get written(): number {
    return this.#partial.size;
  }

  /** Bytes that are there, collected ones too. */
  get size(): number {
    return this.#partial.size + this.#buffered;
  }

  /** Hashes what an earlier try left; more than `most` bytes are not of this file. `each` is called between reads. */
  async begin(most: number, each: () => void): Promise<void> {
    if (this.#partial.size > most) await this.#partial.truncate(0);
    await this.#startHashes();
    for (let at = 0; at < this.#partial.size; at += READ_BYTES) {
      each();
      this.#hash(await this.#partial.read(at, Math.min(READ_BYTES, this.#partial.size - at)));
    }
  }

  /** Forgets everything. */
  async restart(): Promise<void> {
    this.#buffered = 0;
    await this.#partial.truncate(0);
    await this.#startHashes();
  }

  async add(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const part = bytes.subarray(done, done + WRITE_BYTES - this.#buffered);
      this.#buffer.set(part, this.#buffered);
      this.#buffered += part.length;
      done += part.length;
      if (this.#buffered === WRITE_BYTES) await this.flush();
    }
  }

  /** Writes what was collected. */
  async flush(): Promise<void> {
    const bytes = this.#buffer.subarray(0, this.#buffered);
    this.#buffered = 0;
    if (bytes.length === 0) return;
    await this.#partial.append(bytes);
    this.#hash(bytes);
  }

  /** Hashes of the written bytes: SHA-256, and the one that was asked for. Called once per beginning. */
  digests(): { sha256: string; named: string } {
    const sha256 = this.#sha256.digest();
    return { sha256, named: this.#named ? this.#named.digest() : sha256 };
  }

  /** Gives the complete blob its final name. */
  finish(oid: string): Promise<void> {
    return this.#partial.finish(oid);
  }

  close(): Promise<void> {
    return this.#partial.close();
  }

  async #startHashes(): Promise<void> {
    this.#sha256 = await startHash({ kind: "sha256" });
    this.#named = this.#kind?.kind === "git" ? await startHash(this.#kind) : undefined;
  }

  #hash(bytes: Uint8Array): void {
    this.#sha256.update(bytes);
    this.#named?.update(bytes);
  }
}
