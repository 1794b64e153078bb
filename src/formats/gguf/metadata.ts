import { FormatError, UnsupportedError } from "../../errors.js";
import type { StringList } from "../string-list.js";
import type { Cursor } from "./cursor.js";
import { MAX_ARRAY_ELEMENTS, MAX_KEY_BYTES, MAX_SKIPPED_STRING_BYTES, MAX_STRING_BYTES } from "./limits.js";
import { readStrings } from "./strings.js";

const STRING = 8;
const ARRAY = 9;

/** The one array that is longer than the vocabulary, and read but once. */
const MERGES = "tokenizer.ggml.merges";

type NumberArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** One metadata value. The merges of a vocabulary are a StringList. Arrays of 64-bit integers stay as pairs of bits in a BigInt array. */
export type MetadataValue =
  | number
  | bigint
  | boolean
  | string
  | string[]
  | StringList
  | boolean[]
  | NumberArray
  | BigUint64Array
  | BigInt64Array;

/** How a value of fixed size is read, alone and in arrays. */
interface Scalar {
  bytes: number;
  read(cursor: Cursor): number | bigint | boolean;
  /** Reads `count` values, which `cursor` has buffered, into `array` from `start`. */
  fill(array: never, start: number, count: number, cursor: Cursor): void;
  create(length: number): boolean[] | NumberArray | BigUint64Array | BigInt64Array;
}

function scalar<T extends number | bigint | boolean, A extends { [index: number]: T }>(
  bytes: number,
  create: (length: number) => A & ReturnType<Scalar["create"]>,
  read: (cursor: Cursor) => T,
  readExact: (cursor: Cursor) => T = read,
): Scalar {
  return {
    bytes,
    create,
    read,
    fill(array: A, start: number, count: number, cursor: Cursor) {
      for (let i = start; i < start + count; i++) array[i] = readExact(cursor);
    },
  };
}

/** Value types of fixed size by GGUF type id. */
const scalars: ReadonlyMap<number, Scalar> = new Map([
  [
    0,
    scalar(
      1,
      (n) => new Uint8Array(n),
      (c) => c.u8(),
    ),
  ],
  [
    1,
    scalar(
      1,
      (n) => new Int8Array(n),
      (c) => c.i8(),
    ),
  ],
  [
    2,
    scalar(
      2,
      (n) => new Uint16Array(n),
      (c) => c.u16(),
    ),
  ],
  [
    3,
    scalar(
      2,
      (n) => new Int16Array(n),
      (c) => c.i16(),
    ),
  ],
  [
    4,
    scalar(
      4,
      (n) => new Uint32Array(n),
      (c) => c.u32(),
    ),
  ],
  [
    5,
    scalar(
      4,
      (n) => new Int32Array(n),
      (c) => c.i32(),
    ),
  ],
  [
    6,
    scalar(
      4,
      (n) => new Float32Array(n),
      (c) => c.f32(),
    ),
  ],
  [
    7,
    scalar(
      1,
      (): boolean[] => [],
      (c) => c.u8() !== 0,
    ),
  ],
  [
    10,
    scalar<number | bigint, never>(
      8,
      (n) => new BigUint64Array(n) as never,
      (c) => c.u64(),
      (c) => BigInt(c.u64()),
    ),
  ],
  [
    11,
    scalar<number | bigint, never>(
      8,
      (n) => new BigInt64Array(n) as never,
      (c) => c.i64(),
      (c) => BigInt(c.i64()),
    ),
  ],
  [
    12,
    scalar(
      8,
      (n) => new Float64Array(n),
      (c) => c.f64(),
    ),
  ],
]);

/**
 * Reads `count` key/value pairs.
 * @throws FormatError on a duplicate key, an unknown type or a length beyond its limit; UnsupportedError on nested arrays.
 */
export async function readMetadata(cursor: Cursor, count: number): Promise<Map<string, MetadataValue>> {
  const metadata = new Map<string, MetadataValue>();
  const file = cursor.source.name;
  for (let i = 0; i < count; i++) {
    const offset = cursor.offset;
    const key = await cursor.string(`metadata key ${i}`, MAX_KEY_BYTES);
    if (metadata.has(key)) throw new FormatError("The same metadata key stands twice", { file, offset, key });
    await cursor.need(4, `the type of ${key}`);
    metadata.set(key, await readValue(cursor, cursor.u32(), key));
  }
  return metadata;
}

async function readValue(cursor: Cursor, type: number, key: string): Promise<MetadataValue> {
  if (type === STRING) return readString(cursor, key);
  if (type === ARRAY) return readArray(cursor, key);
  const format = scalars.get(type);
  if (!format) throw unknownType(cursor, type, key);
  await cursor.need(format.bytes, key);
  return format.read(cursor);
}

async function readString(cursor: Cursor, key: string): Promise<string> {
  const length = await cursor.count(MAX_SKIPPED_STRING_BYTES, `The length of ${key}`, { key });
  if (length <= MAX_STRING_BYTES) return cursor.text(length, key);
  cursor.skip(length, key);
  return `(${length} bytes, not read)`;
}

async function readArray(cursor: Cursor, key: string): Promise<MetadataValue> {
  await cursor.need(4, `the element type of ${key}`);
  const type = cursor.u32();
  const file = cursor.source.name;
  if (type === ARRAY) {
    throw new UnsupportedError("Arrays of arrays in metadata are not supported", {
      file,
      offset: cursor.offset - 4,
      key,
    });
  }
  const count = await cursor.count(MAX_ARRAY_ELEMENTS, `The length of ${key}`, { key });
  const format = scalars.get(type);
  if (type !== STRING && !format) throw unknownType(cursor, type, key);
  // A string takes at least its length field: a count beyond the file is found before anything is stored.
  const least = count * (format?.bytes ?? 8);
  if (cursor.offset + least > cursor.source.size) {
    throw new FormatError(`${count} elements do not fit in the file`, { file, offset: cursor.offset - 8, key });
  }
  if (!format) {
    const strings = await readStrings(cursor, count, key);
    return key === MERGES ? strings : strings.slice(0, count);
  }
  const values = format.create(count);
  for (let i = 0; i < count; ) {
    await cursor.need(format.bytes, `element ${i} of ${key}`);
    const batch = Math.min(count - i, Math.floor(cursor.buffered / format.bytes));
    format.fill(values as never, i, batch, cursor);
    i += batch;
  }
  return values;
}

function unknownType(cursor: Cursor, type: number, key: string): FormatError {
  return new FormatError(`Unknown metadata type ${type}`, { file: cursor.source.name, offset: cursor.offset, key });
}
