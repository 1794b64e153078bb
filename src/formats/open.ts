import { SourceError, UnsupportedError } from "../errors.js";
import { nodeModules } from "../runtime/node-modules.js";
import { directoryFolder, type ModelFolder, urlFolder } from "./folder.js";
import { GGUF_MAGIC } from "./gguf/header.js";
import { openGguf } from "./gguf/model.js";
import type { Beside } from "./gguf/split.js";
import { correctKnownModel } from "./known-models.js";
import type { ModelFile } from "./model-file.js";
import type { OpenOptions } from "./options.js";
import { looksLikeSafetensors } from "./safetensors/header.js";
import type { ByteSource } from "./source.js";
import { blobSource } from "./sources/blob.js";
import { bytesSource } from "./sources/bytes.js";
import { fileSource } from "./sources/file.js";
import { tryUrlSource } from "./sources/url.js";

/**
 * Where a model can come from: a path or URL of a GGUF file, of a Hugging Face folder or of the weights in one; bytes
 * of a GGUF file that are already at hand; or a set of named files.
 */
export type ModelSource = string | URL | Blob | Uint8Array | ByteSource | ModelFolder;

/**
 * Opens a GGUF file or a Hugging Face folder and describes the model in it; weights are not read yet. What it is, is
 * told by its bytes, not by its name. Close the result when done.
 * @throws SourceError when it cannot be read; FormatError when it is damaged; UnsupportedError when it is sound but not
 * run here.
 */
export async function openModel(source: ModelSource, options: OpenOptions = {}): Promise<ModelFile> {
  options.signal?.throwIfAborted();
  const model = await openAny(source, options);
  correctKnownModel(model);
  return model;
}

async function openAny(source: ModelSource, options: OpenOptions): Promise<ModelFile> {
  if (typeof source === "string") {
    if (/^https?:\/\//i.test(source)) return openUrl(new URL(source), options);
    return source.startsWith("file:") ? openPath(await pathOf(source), options) : openPath(source, options);
  }
  if (source instanceof URL) {
    return source.protocol === "file:" ? openPath(await pathOf(source), options) : openUrl(source, options);
  }
  if (source instanceof Uint8Array) return openFile(bytesSource(source), undefined, options);
  if (source instanceof Blob) return openFile(blobSource(source), undefined, options);
  return "read" in source ? openFile(source, undefined, options) : openFolder(source, options);
}

async function pathOf(url: string | URL): Promise<string> {
  const { fileURLToPath } = await nodeModules.url();
  return fileURLToPath(url);
}

async function openPath(path: string, options: OpenOptions): Promise<ModelFile> {
  const { stat } = await nodeModules.fs();
  const found = await stat(path).catch((cause: unknown) => {
    throw new SourceError("There is no such file or folder", { file: path }, undefined, { cause });
  });
  if (found.isDirectory()) return openFolder(directoryFolder(path), options);
  const slash = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
  const folder = directoryFolder(slash < 0 ? "." : path.slice(0, slash + 1));
  return openFile(await fileSource(path), { folder, file: path.slice(slash + 1) }, options);
}

async function openUrl(url: URL, options: OpenOptions): Promise<ModelFile> {
  if (!url.pathname.endsWith("/")) {
    const source = await tryUrlSource(url, { signal: options.signal });
    const slash = url.pathname.lastIndexOf("/");
    const siblings = new URL(url);
    siblings.pathname = url.pathname.slice(0, slash + 1);
    const beside = { folder: urlFolder(siblings), file: url.pathname.slice(slash + 1) };
    // Not a weights file: perhaps the address of the folder, which servers answer with a page or not at all.
    if (source && (await kindOf(source, options.signal))) return openFile(source, beside, options);
    await source?.close?.();
  }
  return openFolder(urlFolder(url), options);
}

/** Imported when there is one: most models are GGUF files. */
async function openFolder(folder: ModelFolder, options: OpenOptions, weights?: string): Promise<ModelFile> {
  const { openHuggingFace } = await import("./huggingface/model.js");
  return openHuggingFace(folder, options, weights);
}

async function kindOf(source: ByteSource, signal?: AbortSignal): Promise<"gguf" | "safetensors" | undefined> {
  const first = await source.read(0, Math.min(9, source.size), signal);
  const magic = first.length >= 4 ? new DataView(first.buffer, first.byteOffset).getUint32(0, true) : 0;
  if (magic === GGUF_MAGIC) return "gguf";
  return looksLikeSafetensors(first, source.size) ? "safetensors" : undefined;
}

/** Opens one file; `beside` tells where its siblings are, when that is known. */
async function openFile(source: ByteSource, beside: Beside | undefined, options: OpenOptions): Promise<ModelFile> {
  let close = true;
  try {
    const kind = await kindOf(source, options.signal);
    if (kind === "gguf") {
      const model = await openGguf(source, options, beside);
      close = false;
      return model;
    }
    if (!kind) {
      throw new UnsupportedError(
        "This is neither a GGUF nor a safetensors file",
        { file: source.name, offset: 0 },
        "Name a GGUF file or a Hugging Face folder",
      );
    }
    if (!beside) {
      throw new UnsupportedError(
        "These are safetensors weights without their config.json and tokenizer.json",
        { file: source.name },
        "Open the folder, or pass the files together with filesFolder()",
      );
    }
    const isShard = /-\d{5}-of-\d{5}\.safetensors$/.test(beside.file);
    return await openFolder(beside.folder, options, isShard ? undefined : beside.file);
  } finally {
    if (close) await source.close?.();
  }
}
