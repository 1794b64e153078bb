import { FormatError, UnsupportedError } from "../../errors.js";
import type { TensorInfo } from "../model-file.js";
import type { ByteSource } from "../source.js";
import { Cursor } from "./cursor.js";
import { MAX_ALIGNMENT, MAX_DIMENSIONS, MAX_METADATA_ENTRIES, MAX_TENSOR_NAME_BYTES, MAX_TENSORS } from "./limits.js";
import { type MetadataValue, readMetadata } from "./metadata.js";
import { blockFormats, I2S_TAIL_BYTES, otherTypeName } from "./types.js";

/** "GGUF" as a little-endian u32. */
export const GGUF_MAGIC = 0x46554747;

/** Alignment of tensor data when the file does not say (`general.alignment`). */
const DEFAULT_ALIGNMENT = 32;

/** A GGUF header: everything but the weights. */
export interface GgufHeader {
  source: ByteSource;
  version: number;
  metadata: Map<string, MetadataValue>;
  /** In file order. */
  tensors: TensorInfo[];
  /** Offset of the tensor data. */
  dataOffset: number;
}

/**
 * Reads the header of a GGUF file, version 2 or 3 (ggml `gguf.h`, docs/gguf.md). Checks every length against the file
 * before believing it, and that the tensors lie inside the file, aligned, and apart.
 * @throws FormatError when the header is damaged; UnsupportedError for version 1, big-endian files and unknown types.
 */
export async function readGgufHeader(source: ByteSource, signal?: AbortSignal): Promise<GgufHeader> {
  const cursor = new Cursor(source, signal);
  const file = source.name;
  await cursor.need(8, "the magic number and version");
  if (cursor.u32() !== GGUF_MAGIC) throw new FormatError("This is not a GGUF file", { file, offset: 0 });
  const version = cursor.u32();
  if ((version & 0xffff) === 0 && version !== 0) {
    throw new UnsupportedError("This is a big-endian GGUF file", { file, offset: 4 }, "Use the little-endian file");
  }
  if (version !== 2 && version !== 3) {
    throw new UnsupportedError(
      `GGUF version ${version} is not read`,
      { file, offset: 4 },
      "Versions 2 and 3 are; convert the model again",
    );
  }
  const tensorCount = await cursor.count(MAX_TENSORS, "The number of tensors");
  const metadataCount = await cursor.count(MAX_METADATA_ENTRIES, "The number of metadata entries");
  const metadata = await readMetadata(cursor, metadataCount);
  const alignment = readAlignment(metadata, file);
  const tensors: TensorInfo[] = [];
  const names = new Set<string>();
  for (let i = 0; i < tensorCount; i++) {
    const tensor = await readTensorInfo(cursor, i, alignment);
    if (names.has(tensor.name)) {
      throw new FormatError("The same tensor stands twice", { file, offset: cursor.offset, tensor: tensor.name });
    }
    names.add(tensor.name);
    tensors.push(tensor);
  }
  const dataOffset = Math.ceil(cursor.offset / alignment) * alignment;
  for (const tensor of tensors) tensor.offset += dataOffset;
  checkPlaces(tensors, source);
  return { source, version, metadata, tensors, dataOffset };
}

function readAlignment(metadata: Map<string, MetadataValue>, file: string): number {
  const key = "general.alignment";
  const alignment = metadata.get(key) ?? DEFAULT_ALIGNMENT;
  const good =
    typeof alignment === "number" &&
    alignment >= 1 &&
    alignment <= MAX_ALIGNMENT &&
    (alignment & (alignment - 1)) === 0;
  if (!good) throw new FormatError(`The alignment is ${String(alignment)}, not a power of two`, { file, key });
  return alignment;
}

async function readTensorInfo(cursor: Cursor, index: number, alignment: number): Promise<TensorInfo> {
  const file = cursor.source.name;
  const name = await cursor.string(`the name of tensor ${index}`, MAX_TENSOR_NAME_BYTES);
  await cursor.need(4, `the number of dimensions of ${name}`);
  const place = { file, offset: cursor.offset, tensor: name };
  const dimensions = cursor.u32();
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS) throw new FormatError(`${dimensions} dimensions`, place);
  const shape: number[] = [];
  let values = 1;
  for (let d = 0; d < dimensions; d++) {
    // The file gives the innermost dimension first.
    const length = await cursor.count(Number.MAX_SAFE_INTEGER, `Dimension ${d} of ${name}`, { tensor: name });
    shape.unshift(length);
    values *= length;
  }
  if (values < 1 || !Number.isSafeInteger(values)) {
    throw new FormatError(`The shape [${shape.join(", ")}] is empty or too large`, place);
  }
  await cursor.need(4, `the type of ${name}`);
  const typeOffset = cursor.offset;
  const id = cursor.u32();
  const format = blockFormats.get(id);
  if (!format) {
    throw new UnsupportedError(
      `Tensors of ${otherTypeName(id)} are not supported`,
      { file, offset: typeOffset, tensor: name },
      `Use a file with one of these: ${[...blockFormats.values()].map((known) => known.type).join(", ")}`,
    );
  }
  const columns = shape[shape.length - 1] as number;
  if (columns % format.values !== 0) {
    throw new FormatError(`${columns} columns are not whole blocks of ${format.values} (${format.type})`, place);
  }
  const offset = await cursor.count(Number.MAX_SAFE_INTEGER, `The offset of ${name}`, { tensor: name });
  if (offset % alignment !== 0) {
    throw new FormatError(`The offset ${offset} is not a multiple of ${alignment}`, place);
  }
  const packed = (values / format.values) * format.bytes;
  const byteLength = packed + (format.type === "I2_S" ? I2S_TAIL_BYTES : 0);
  return { name, type: format.type, shape, source: cursor.source, offset, byteLength };
}

/** Every tensor must lie inside the file, and no two may share a byte. */
function checkPlaces(tensors: TensorInfo[], source: ByteSource): void {
  const file = source.name;
  const sorted = [...tensors].sort((a, b) => a.offset - b.offset);
  let before: TensorInfo | undefined;
  for (const tensor of sorted) {
    const place = { file, offset: tensor.offset, tensor: tensor.name };
    if (tensor.offset + tensor.byteLength > source.size) {
      throw new FormatError(
        `The tensor needs ${tensor.byteLength} bytes, the file has ${Math.max(0, source.size - tensor.offset)} there`,
        place,
        "The file is damaged or was not completely downloaded",
      );
    }
    if (before && before.offset + before.byteLength > tensor.offset) {
      throw new FormatError(`The tensor overlaps ${before.name}`, place);
    }
    before = tensor;
  }
}
