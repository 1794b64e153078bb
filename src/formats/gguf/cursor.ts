import { FormatError } from "../../errors.js";
import type { ByteSource } from "../source.js";
import { FIRST_CHUNK_BYTES, LARGEST_CHUNK_BYTES, MAX_HEADER_BYTES, MAX_STRING_BYTES } from "./limits.js";

/**
 * Walks forward through a ByteSource in growing chunks and keeps only the part not yet consumed. Call `need(n)` before
 * reading `n` bytes; the read methods themselves are synchronous.
 */
export class Cursor {
  bytes = new Uint8Array(0);
  /** Next byte, as an index into `bytes`. */
  at = 0;
  private view = new DataView(new ArrayBuffer(0));
  /** Offset in the source of `bytes[0]`. */
  private base = 0;
  private space = new Uint8Array(0);
  private chunk = FIRST_CHUNK_BYTES;

  constructor(
    readonly source: ByteSource,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Offset in the source of the next byte. */
  get offset(): number {
    return this.base + this.at;
  }

  /** Bytes that can be read without another `need`. */
  get buffered(): number {
    return this.bytes.length - this.at;
  }

  /**
   * Makes the next `length` bytes readable.
   * @throws FormatError when the file ends before them or the header grows beyond its limit.
   */
  async need(length: number, what: string): Promise<void> {
    if (this.buffered >= length) return;
    const { offset, source } = this;
    this.check(length, what);
    const end = this.base + this.bytes.length;
    const wanted = Math.min(Math.max(offset + length, end + this.chunk), source.size);
    const more = await source.read(end, wanted - end, this.signal);
    this.chunk = Math.min(this.chunk * 2, LARGEST_CHUNK_BYTES);
    const joined = new Uint8Array(this.buffered + more.length);
    joined.set(this.bytes.subarray(this.at));
    joined.set(more, this.buffered);
    this.bytes = joined;
    this.view = new DataView(joined.buffer);
    this.base = offset;
    this.at = 0;
  }

  /** Passes over `length` bytes without reading them. */
  skip(length: number, what: string): void {
    this.check(length, what);
    if (length <= this.buffered) {
      this.at += length;
      return;
    }
    this.base = this.offset + length;
    this.bytes = new Uint8Array(0);
    this.at = 0;
  }

  /** @throws FormatError unless the file and the limit of headers leave room for `length` more bytes. */
  private check(length: number, what: string): void {
    const { offset, source } = this;
    if (offset + length > source.size) {
      throw new FormatError(
        `The file ends inside its header: ${what} needs ${length} bytes, ${source.size - offset} are left`,
        { file: source.name, offset },
        "The file is damaged or was not completely downloaded",
      );
    }
    if (offset + length > MAX_HEADER_BYTES) {
      throw new FormatError(`The header is longer than ${MAX_HEADER_BYTES} bytes`, { file: source.name, offset });
    }
  }

  /** Working space as long as the buffer; one for all arrays, because a header may have thousands of them. */
  scratch(): Uint8Array {
    if (this.space.length < this.bytes.length) this.space = new Uint8Array(this.bytes.length);
    return this.space;
  }

  u8(): number {
    return this.bytes[this.at++] as number;
  }
  i8(): number {
    return (this.u8() << 24) >> 24;
  }
  u16(): number {
    this.at += 2;
    return this.view.getUint16(this.at - 2, true);
  }
  i16(): number {
    return (this.u16() << 16) >> 16;
  }
  u32(): number {
    this.at += 4;
    return this.view.getUint32(this.at - 4, true);
  }
  i32(): number {
    return this.u32() | 0;
  }
  f32(): number {
    this.at += 4;
    return this.view.getFloat32(this.at - 4, true);
  }
  f64(): number {
    this.at += 8;
    return this.view.getFloat64(this.at - 8, true);
  }
  /** An exact number when it fits 53 bits, else a bigint. */
  u64(): number | bigint {
    const low = this.u32();
    const high = this.u32();
    return high < 0x200000 ? high * 2 ** 32 + low : (BigInt(high) << 32n) | BigInt(low);
  }
  i64(): number | bigint {
    this.at += 8;
    const value = this.view.getBigInt64(this.at - 8, true);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  /**
   * A count or length of 64 bits.
   * @throws FormatError when it is above `limit`.
   */
  async count(limit: number, what: string, place: { tensor?: string; key?: string } = {}): Promise<number> {
    await this.need(8, what);
    const offset = this.offset;
    const value = this.u64();
    if (typeof value === "bigint" || value > limit) {
      throw new FormatError(`${what} is ${value}; at most ${limit} is allowed`, {
        file: this.source.name,
        offset,
        ...place,
      });
    }
    return value;
  }

  /** A length-prefixed UTF-8 string; bytes that are not UTF-8 become U+FFFD. */
  async string(what: string, limit = MAX_STRING_BYTES, place: { key?: string } = {}): Promise<string> {
    return this.text(await this.count(limit, `The length of ${what}`, place), what);
  }

  /** The next `length` bytes as text. */
  async text(length: number, what: string): Promise<string> {
    await this.need(length, what);
    const text = utf8.decode(this.bytes.subarray(this.at, this.at + length));
    this.at += length;
    return text;
  }
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
