import { OptionError, SourceError, UnsupportedError } from "../errors.js";
import { nodeModules } from "../platform/node-modules.js";
import { directoryFolder, type ModelFolder, urlFolder } from "./folder.js";
import { GGUF_MAGIC } from "./gguf/header.js";
import { openGguf } from "./gguf/model.js";
import type { Beside } from "./gguf/split.js";
import { correctKnownModel } from "./known-models.js";
import type { ModelFile } from "./model-file.js";
import { noModel } from "./no-model.js";
import type { OpenOptions } from "./options.js";
import { looksLikeSafetensors } from "./safetensors/header.js";
import type { ByteSource } from "./source.js";
import { blobSource } from "./sources/blob.js";
import { bytesSource } from "./sources/bytes.js";
import { fileSource } from "./sources/file.js";
import { readAhead } from "./sources/read-ahead.js";
import { notFound, tryUrlSource } from "./sources/url.js";

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
    if (source === "") throw new OptionError("The model has no name", { key: "source" }, "Name a file, folder or URL");
    if (/^https?:/i.test(source)) return openUrl(addressOf(source), options);
    return source.startsWith("file:") ? openPath(await pathOf(source), options) : openPath(source, options);
  }
  if (source instanceof URL) {
    return source.protocol === "file:" ? openPath(await pathOf(source), options) : openUrl(source, options);
  }
  if (source instanceof Uint8Array) return openFile(bytesSource(source), undefined, options);
  if (source instanceof Blob) return openFile(blobSource(source), undefined, options);
  if (typeof source === "object" && source !== null) {
    if ("read" in source && typeof source.read === "function") return openFile(source, undefined, options);
    if ("open" in source && typeof source.open === "function") return openFolder(source, options);
  }
  throw noModel(source);
}

function addressOf(text: string): URL {
  try {
    return new URL(text);
  } catch (cause) {
    throw new SourceError("This is not an address", { file: text }, "Write it like https://example.org/model.gguf", {
      cause,
    });
  }
}

/**
 * Opens one file of a folder; its siblings (other parts, config.json) are found there too.
 * @throws as `openModel`
 */
export async function openBeside(folder: ModelFolder, file: string, options: OpenOptions = {}): Promise<ModelFile> {
  const source = await folder.open(file, options.signal);
  if (!source) throw new SourceError("There is no such file", { file: `${folder.name}/${file}` });
  const model = await openFile(source, { folder, file }, options);
  correctKnownModel(model);
  return model;
}

async function pathOf(url: string | URL): Promise<string> {
  const { fileURLToPath } = await nodeModules.url();
  return fileURLToPath(url);
}

async function openPath(path: string, options: OpenOptions): Promise<ModelFile> {
  const { stat } = await nodeModules.fs();
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    const missing = cause.code === "ENOENT" || cause.code === "ENOTDIR";
    throw missing
      ? new SourceError("There is no such file or folder", { file: path }, "Check the path", { cause })
      : new SourceError(`It cannot be opened: ${cause.message}`, { file: path }, undefined, { cause });
  });
  if (found.isDirectory()) {
    const folder = directoryFolder(path);
    return openFolder(await withConfig(folder, () => emptyFolder(path), options), options);
  }
  const slash = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
  const folder = directoryFolder(slash < 0 ? "." : path.slice(0, slash + 1));
  return openFile(await fileSource(path), { folder, file: path.slice(slash + 1) }, options);
}

/** What to say of a folder without config.json. */
async function emptyFolder(path: string): Promise<SourceError> {
  const { readdir } = await nodeModules.fs();
  const names = await readdir(path).catch(() => []);
  const gguf = names.filter((name) => name.toLowerCase().endsWith(".gguf"));
  const weights = names.some((name) => name.endsWith(".safetensors"));
  const hint = gguf.length
    ? `Name one of its GGUF files: ${gguf.slice(0, 5).join(", ")}${gguf.length > 5 ? ", …" : ""}`
    : weights
      ? "It has weights: copy config.json and tokenizer.json of the model to them"
      : "Name a GGUF file, or a folder with config.json, tokenizer.json and *.safetensors";
  return new SourceError("This folder holds no model: it has no config.json", { file: path }, hint);
}

async function openUrl(url: URL, options: OpenOptions): Promise<ModelFile> {
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new SourceError(
      `Addresses of the kind ${url.protocol} are not read`,
      { file: url.href },
      "Use http or https",
    );
  if (url.pathname.endsWith("/")) {
    const missing = () =>
      notFound(new URL("config.json", url).href, "The folder must have config.json; or name a GGUF file");
    return openFolder(await withConfig(urlFolder(url), missing, options), options);
  }
  const found = await tryUrlSource(url, { signal: options.signal });
  const source = found && readAhead(found);
  const slash = url.pathname.lastIndexOf("/");
  const siblings = new URL(url);
  siblings.pathname = url.pathname.slice(0, slash + 1);
  const beside = { folder: urlFolder(siblings), file: url.pathname.slice(slash + 1) };
  if (source && (await kindOf(source, options.signal))) return openFile(source, beside, options);
  // Not a weights file: perhaps the address of the folder, which servers answer with a page or not at all.
  const why = source
    ? await notAModel(source, options.signal)
    : notFound(url.href, "It must name a GGUF file or a folder");
  await source?.close?.();
  return openFolder(await withConfig(urlFolder(url), () => why, options), options);
}

/** The folder, once it is certain that it has a config.json, which is read but once. */
async function withConfig(
  folder: ModelFolder,
  missing: () => Error | Promise<Error>,
  { signal }: OpenOptions,
): Promise<ModelFolder> {
  const config = await folder.open("config.json", signal);
  if (!config) throw await missing();
  // Sites that answer every address with the same page.
  if (isPage(await config.read(0, Math.min(64, config.size), signal))) {
    await config.close?.();
    throw await missing();
  }
  return {
    name: folder.name,
    open: async (file, signal) => (file === "config.json" ? config : folder.open(file, signal)),
  };
}

function isPage(first: Uint8Array): boolean {
  return /^\uFEFF?\s*<(!doctype|html|head|!--|\?xml)/i.test(new TextDecoder().decode(first));
}

/** Says what a file is that is not a model. */
async function notAModel(source: ByteSource, signal: AbortSignal | undefined): Promise<UnsupportedError> {
  const first = await source.read(0, Math.min(64, source.size), signal);
  const starts = (text: string) => new TextDecoder("latin1").decode(first).startsWith(text);
  const [what, hint] =
    source.size === 0
      ? ["The file is empty", "Was its download cut off?"]
      : isPage(first)
        ? [
            "This is an HTML page, not a model",
            "Name the file itself; on Hugging Face its address has /resolve/ instead of /blob/",
          ]
        : starts("version https://git-lfs")
          ? ["This is a Git LFS pointer, not the file itself", "Get the file with git lfs pull, or download it"]
          : starts("PK\x03\x04")
            ? ["These are PyTorch weights or another zip archive", "Use the model's GGUF or safetensors files"]
            : ["This is neither a GGUF nor a safetensors file", "Name a GGUF file or a Hugging Face folder"];
  return new UnsupportedError(what, { file: source.name, offset: 0 }, hint);
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
    if (!kind) throw await notAModel(source, options.signal);
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
