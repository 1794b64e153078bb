import { FormatError, UnsupportedError } from "../../errors.js";
import type { Cursor } from "./cursor.js";
import { MAX_ARRAY_ELEMENTS, MAX_KEY_BYTES } from "./limits.js";
import { readStrings } from "./strings.js";

const STRING = 8;
const ARRAY = 9;

/** Value types of fixed size: GGUF type id → bytes and reader. */
const scalars: ReadonlyMap<number, { bytes: number; read: (cursor: Cursor) => number | bigint | boolean }> = new Map([
  [0, { bytes: 1, read: (c: Cursor) => c.u8() }],
  [1, { bytes: 1, read: (c: Cursor) => c.i8() }],
  [2, { bytes: 2, read: (c: Cursor) => c.u16() }],
  [3, { bytes: 2, read: (c: Cursor) => c.i16() }],
  [4, { bytes: 4, read: (c: Cursor) => c.u32() }],
  [5, { bytes: 4, read: (c: Cursor) => c.i32() }],
  [6, { bytes: 4, read: (c: Cursor) => c.f32() }],
  [7, { bytes: 1, read: (c: Cursor) => c.u8() !== 0 }],
  [10, { bytes: 8, read: (c: Cursor) => c.u64() }],
  [11, { bytes: 8, read: (c: Cursor) => c.i64() }],
  [12, { bytes: 8, read: (c: Cursor) => c.f64() }],
]);

/** One metadata value. Arrays of numbers become typed arrays where one holds them exactly. */
export type MetadataValue =
  | number
  | bigint
  | boolean
  | string
  | string[]
  | (number | bigint | boolean)[]
  | Int32Array
  | Float32Array;

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
  if (type === STRING) return cursor.string(key, undefined, { key });
  if (type === ARRAY) return readArray(cursor, key);
  const scalar = scalars.get(type);
  if (!scalar) throw unknownType(cursor, type, key);
  await cursor.need(scalar.bytes, key);
  return scalar.read(cursor);
}

async function readArray(cursor: Cursor, key: string): Promise<MetadataValue> {
  await cursor.need(4, `the element type of ${key}`);
  const type = cursor.u32();
  const file = cursor.source.name;
  if (type === ARRAY) {
    throw new UnsupportedError("Arrays of arrays are not read in metadata", { file, offset: cursor.offset - 4, key });
  }
  const count = await cursor.count(MAX_ARRAY_ELEMENTS, `The length of ${key}`, { key });
  const scalar = scalars.get(type);
  if (type !== STRING && !scalar) throw unknownType(cursor, type, key);
  // A string takes at least its length field: a count beyond the file is found before anything is stored.
  const least = count * (scalar?.bytes ?? 8);
  if (cursor.offset + least > cursor.source.size) {
    throw new FormatError(`${count} elements do not fit in the file`, { file, offset: cursor.offset - 8, key });
  }
  if (!scalar) return readStrings(cursor, count, key);
  const values = type === 5 ? new Int32Array(count) : type === 6 ? new Float32Array(count) : undefined;
  const others: (number | bigint | boolean)[] = [];
  for (let i = 0; i < count; ) {
    await cursor.need(scalar.bytes, `element ${i} of ${key}`);
    const batch = Math.min(count - i, Math.floor(cursor.buffered / scalar.bytes));
    for (const end = i + batch; i < end; i++) {
      const value = scalar.read(cursor);
      if (values) values[i] = value as number;
      else others.push(value);
    }
  }
  return values ?? others;
}

function unknownType(cursor: Cursor, type: number, key: string): FormatError {
  return new FormatError(`Unknown metadata type ${type}`, { file: cursor.source.name, offset: cursor.offset, key });
}
