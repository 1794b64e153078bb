import { FormatError } from "../../errors.js";
import { show } from "../show.js";
import type { ByteSource } from "../source.js";

/** Bytes of the JSON header; the reference reader has the same limit. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Bytes per element of every dtype of the format. */
const dtypeBytes: ReadonlyMap<string, number> = new Map([
  ["BOOL", 1],
  ["U8", 1],
  ["I8", 1],
  ["F8_E4M3", 1],
  ["F8_E5M2", 1],
  ["F8_E8M0", 1],
  ["I16", 2],
  ["U16", 2],
  ["F16", 2],
  ["BF16", 2],
  ["I32", 4],
  ["U32", 4],
  ["F32", 4],
  ["I64", 8],
  ["U64", 8],
  ["F64", 8],
]);

/** One tensor as a safetensors header gives it. */
export interface StoredTensor {
  name: string;
  dtype: string;
  shape: number[];
  /** Absolute offset in the file. */
  offset: number;
  byteLength: number;
}

/** A safetensors header. */
export interface SafetensorsHeader {
  /** In the order of their bytes. */
  tensors: StoredTensor[];
  /** The `__metadata__` strings. */
  metadata: Record<string, unknown>;
}

/** Whether the first bytes of a file can be a safetensors header: a believable length, then a JSON object. */
export function looksLikeSafetensors(first: Uint8Array, size: number): boolean {
  if (first.length < 9) return false;
  const length = new DataView(first.buffer, first.byteOffset).getBigUint64(0, true);
  return first[8] === 0x7b && length <= BigInt(Math.min(MAX_HEADER_BYTES, size - 8));
}

/**
 * Reads the header of a safetensors file: u64 length, JSON, data.
 * @throws FormatError unless every tensor's bytes fit its dtype and shape and together they cover the data exactly.
 */
export async function readSafetensorsHeader(source: ByteSource, signal?: AbortSignal): Promise<SafetensorsHeader> {
  const file = source.name;
  if (source.size < 10) throw new FormatError(`The file has only ${source.size} bytes`, { file });
  const first = await source.read(0, 8, signal);
  const length = new DataView(first.buffer, first.byteOffset).getBigUint64(0, true);
  if (length > BigInt(Math.min(MAX_HEADER_BYTES, source.size - 8))) {
    throw new FormatError(
      `The header claims ${length} bytes; the file has ${source.size}, and at most ${MAX_HEADER_BYTES} are allowed`,
      { file, offset: 0 },
      "The file is damaged, incomplete, or no safetensors file",
    );
  }
  const bytes = await source.read(8, Number(length), signal);
  const entries = parseObject(bytes, file);
  const dataOffset = 8 + Number(length);
  const tensors: StoredTensor[] = [];
  let metadata: Record<string, unknown> = {};
  for (const [name, entry] of Object.entries(entries)) {
    if (typeof entry !== "object" || entry === null) {
      throw new FormatError("The header entry is not an object", { file, tensor: name });
    }
    if (name === "__metadata__") metadata = entry as Record<string, unknown>;
    else tensors.push(readTensor(name, entry as Record<string, unknown>, dataOffset, file));
  }
  tensors.sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  checkCover(tensors, dataOffset, source);
  return { tensors, metadata };
}

function parseObject(bytes: Uint8Array, file: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new FormatError("The header is not JSON", { file, offset: 8 }, undefined, { cause });
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new FormatError("The header is not a JSON object", { file, offset: 8 });
  }
  return parsed as Record<string, unknown>;
}

function readTensor(name: string, entry: Record<string, unknown>, dataOffset: number, file: string): StoredTensor {
  const place = { file, tensor: name };
  const { dtype, shape, data_offsets: range } = entry;
  const elementBytes = typeof dtype === "string" ? dtypeBytes.get(dtype) : undefined;
  if (typeof dtype !== "string" || elementBytes === undefined) {
    throw new FormatError(`The dtype ${show(dtype)} is not one of the format`, place);
  }
  if (!isCounts(shape) || shape.length > 8) throw new FormatError(`The shape is ${show(shape)}`, place);
  if (!isCounts(range) || range.length !== 2) throw new FormatError(`The data offsets are ${show(range)}`, place);
  const [begin, end] = range as [number, number];
  const values = shape.reduce((product, each) => product * each, 1);
  const expected = values * elementBytes;
  if (!Number.isSafeInteger(expected) || end - begin !== expected) {
    throw new FormatError(`${dtype} [${shape.join(", ")}] takes ${expected} bytes, the header gives ${end - begin}`, {
      ...place,
      offset: dataOffset + begin,
    });
  }
  return { name, dtype, shape, offset: dataOffset + begin, byteLength: expected };
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((each) => Number.isSafeInteger(each) && each >= 0);
}

/** The format demands that tensors follow each other without gap or overlap up to the end of the file. */
function checkCover(tensors: StoredTensor[], dataOffset: number, source: ByteSource): void {
  const file = source.name;
  let at = dataOffset;
  for (const { name, offset, byteLength } of tensors) {
    if (offset + byteLength > source.size) {
      throw new FormatError(
        `The tensor ends at byte ${offset + byteLength}, the file at ${source.size}`,
        { file, offset, tensor: name },
        "The file was not completely downloaded",
      );
    }
    if (offset !== at) {
      const what =
        offset < at ? "The tensor overlaps the one before it" : `Bytes ${at} to ${offset} belong to no tensor`;
      throw new FormatError(what, { file, offset, tensor: name });
    }
    at = offset + byteLength;
  }
  if (at !== source.size) {
    throw new FormatError(`The tensors end at byte ${at}, the file at ${source.size}`, { file, offset: at });
  }
}
