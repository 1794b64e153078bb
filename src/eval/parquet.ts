import { FormatError } from "../errors.js";

/**
 * The rows of a Parquet file.
 * @param columns that must be there; others are not read
 * @throws FormatError when it is no Parquet file, lacks a column, or has other rows than it says
 */
export async function readParquet(
  bytes: Uint8Array<ArrayBuffer>,
  columns: readonly string[],
  file: string,
): Promise<Record<string, unknown>[]> {
  const { parquetMetadata, parquetReadObjects, parquetSchema } = await import("hyparquet");
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  let rows: Record<string, unknown>[];
  let expected: number;
  let missing: string | undefined;
  try {
    const metadata = parquetMetadata(buffer);
    expected = Number(metadata.num_rows);
    const there = new Set(parquetSchema(metadata).children.map(({ element }) => element.name));
    missing = columns.find((column) => !there.has(column));
    rows = missing === undefined ? await parquetReadObjects({ file: buffer, metadata, columns: [...columns] }) : [];
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace(/\s+/g, " ") : String(cause);
    throw new FormatError(`This Parquet file cannot be read: ${reason}`, { file }, undefined, { cause });
  }
  if (missing !== undefined) throw new FormatError(`The data have no column "${missing}"`, { file });
  if (rows.length !== expected)
    throw new FormatError(`The file says it has ${expected} rows, it has ${rows.length}`, { file });
  return rows;
}
