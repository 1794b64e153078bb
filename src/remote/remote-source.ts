import { setWeightsFolder } from "../embedded.js";
import type { ModelFolder } from "../formats/folder.js";
import { noModel } from "../formats/no-model.js";
import type { ByteSource } from "../formats/source.js";
import { blobSource } from "../formats/sources/blob.js";
import { bytesSource } from "../formats/sources/bytes.js";
import { parseName } from "../hub/names.js";
import { platform } from "../platform/platform.js";
import type { ModelSource } from "../types.js";
import type { Endpoint } from "./endpoint.js";

/** A model source as plain data. Sources that are objects of the page stay there and are read from afar. */
export type SourceData =
  /** A path, a name or what else the other side understands as it is. */
  | { kind: "text"; text: string }
  /** The story model; `weights`: address of the package's folder of that name. */
  | { kind: "embedded"; weights: string }
  | { kind: "url"; url: string }
  /** A name of a model, or a path: nothing that a URL could be made of. */
  | { kind: "content"; content: Blob | Uint8Array }
  | ({ kind: "bytes" } & RemoteBytes)
  | { kind: "folder"; at: string; name: string };

/** A ByteSource of the other side. */
interface RemoteBytes {
  /** Name of the object. */
  at: string;
  name: string;
  size: number;
}

/** Describes a source for the other side. */
export function sourceToData(endpoint: Endpoint, source: ModelSource): SourceData {
  if (source instanceof URL) return { kind: "url", url: source.href };
  if (typeof source === "string") {
    if (source === "embedded") return { kind: "embedded", weights: weightsFolder() };
    return { kind: "text", text: platform === "browser" && !isName(source) ? absolute(source) : source };
  }
  if (source instanceof Blob || source instanceof Uint8Array) {
    if (platform === "browser") return { kind: "content", content: source };
    // Read from here, since a clone would be a second copy of the model.
    const bytes = source instanceof Blob ? blobSource(source) : bytesSource(source);
    return { kind: "bytes", ...lendBytes(endpoint, bytes) };
  }
  if (typeof source !== "object" || source === null) throw noModel(source);
  if ("read" in source && typeof source.read === "function") return { kind: "bytes", ...lendBytes(endpoint, source) };
  if (!("open" in source && typeof source.open === "function")) throw noModel(source);
  const at = endpoint.newName("folder");
  endpoint.expose(at, {
    async open(file: string, signal?: AbortSignal) {
      const found = await source.open(file, signal);
      return found && lendBytes(endpoint, found);
    },
  });
  return { kind: "folder", at, name: source.name };
}

/** Whether a text names a model rather than an address relative to the page. */
function isName(source: string): boolean {
  if (/^(?:hf|huggingface|file|random):/i.test(source)) return true;
  return !/^https?:/i.test(source) && !/^[./]/.test(source) && parseName(source)?.kind === "hub" && !isBare(source);
}

/** `owner/name` alone is rather a folder beside the page. */
function isBare(source: string): boolean {
  return source.includes("/") && !/[:@]/.test(source) && !/^(?:hf\.co|huggingface\.co)\//i.test(source);
}

function absolute(address: string): string {
  return new URL(address, typeof document === "undefined" ? globalThis.location?.href : document.baseURI).href;
}

/** Beside the published script. Not written so that a bundler would take it along: 3 MB that few pages want. */
function weightsFolder(): string {
  const here: string | undefined = import.meta.url;
  return new URL("../../weights/", here).href;
}

/** The source as this side uses it. */
export function sourceFromData(endpoint: Endpoint, data: SourceData): ModelSource {
  switch (data.kind) {
    case "text":
      return data.text;
    case "embedded":
      setWeightsFolder(new URL(data.weights));
      return "embedded";
    case "url":
      return new URL(data.url);
    case "content":
      return data.content;
    case "bytes":
      return borrowBytes(endpoint, data);
    case "folder": {
      const folder: ModelFolder = {
        name: data.name,
        async open(file, signal) {
          const found = await endpoint.call<RemoteBytes | undefined>(data.at, "open", [file, signal]);
          return found && borrowBytes(endpoint, found);
        },
      };
      return folder;
    }
  }
}

/** Lets the other side read a source. */
export function lendBytes(endpoint: Endpoint, source: ByteSource): RemoteBytes {
  const at = endpoint.newName("bytes");
  endpoint.expose(at, source);
  return { at, name: source.name, size: source.size };
}

/** A source of the other side. */
export function borrowBytes(endpoint: Endpoint, { at, name, size }: RemoteBytes): ByteSource {
  return {
    name,
    size,
    read: (offset, length, signal) => endpoint.call(at, "read", [offset, length, signal]),
    close: () => endpoint.call(at, "close", []),
  };
}
