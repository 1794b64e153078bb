import { OptionError, UnsupportedError } from "../errors.js";
import { GGUF_MAGIC } from "./gguf/header.js";
import { openGguf } from "./gguf/model.js";
import type { ModelFile } from "./model-file.js";
import type { OpenOptions } from "./options.js";
import type { ByteSource } from "./source.js";
import { blobSource } from "./sources/blob.js";
import { bytesSource } from "./sources/bytes.js";
import { fileSource } from "./sources/file.js";

/** Where a model can come from: a path or URL, or bytes that are already at hand. */
export type ModelSource = string | URL | Blob | Uint8Array | ByteSource;

/**
 * Opens a GGUF file or a Hugging Face folder and describes the model in it; weights are not read yet. What it is, is
 * told by its bytes, not by its name.
 * @throws SourceError, FormatError, UnsupportedError, OptionError
 */
export async function openModel(source: ModelSource, options: OpenOptions = {}): Promise<ModelFile> {
  options.signal?.throwIfAborted();
  const bytes = await toByteSource(source);
  try {
    const magic = bytes.size >= 4 ? await bytes.read(0, 4, options.signal) : new Uint8Array(4);
    if (new DataView(magic.buffer, magic.byteOffset).getUint32(0, true) === GGUF_MAGIC) {
      return await openGguf(bytes, options);
    }
    throw new UnsupportedError("This is no model file", { file: bytes.name, offset: 0 });
  } catch (error) {
    await bytes.close?.();
    throw error;
  }
}

async function toByteSource(source: ModelSource): Promise<ByteSource> {
  if (typeof source === "string") return fileSource(source);
  if (source instanceof Uint8Array) return bytesSource(source);
  if (source instanceof Blob) return blobSource(source);
  if (source instanceof URL) throw new OptionError("URLs are not read yet");
  return source;
}
