import { SourceError } from "../errors.js";
import type { ModelFile } from "../formats/model-file.js";
import type { OpenOptions } from "../formats/options.js";
import type { FitOptions } from "../model/fits.js";
import { nodeModules } from "../platform/node-modules.js";
import { platform } from "../platform/platform.js";
import type { ModelCache } from "./cache.js";
import { type ModelName, parseName } from "./names.js";
import { findCached, type PullPlan, planPull } from "./plan.js";
import { type PullProgress, pull } from "./pull.js";
import { type HubOptions, type HubSettings, hubSettings } from "./settings.js";
import { openPlan, streamPlan } from "./stream.js";
import { refuseTooLarge } from "./too-large.js";

/** How to open a model by its name. */
export interface OpenNameOptions extends OpenOptions {
  hub?: HubOptions | undefined;
  onProgress?: ((progress: PullProgress) => void) | undefined;
  /** What the model will be loaded with; one that cannot fit is refused before it is downloaded. */
  fit?: FitOptions | undefined;
  /** `stream`: read it where it is, when the cache does not have it. Default `pull`. */
  missing?: "pull" | "stream" | undefined;
}

/** The name in a source, or undefined for a path. What is there under that very path is a path. */
export async function nameOf(source: string, settings: HubSettings): Promise<ModelName | undefined> {
  // A file that a page keeps.
  if (platform === "browser" && source.startsWith("file:")) return { kind: "url", url: source, text: source };
  const name = parseName(source, settings.endpoint);
  if (!name || name.kind === "url" || /^(?:hf|huggingface|https?):/i.test(source)) return name;
  if (platform === "browser") return /[:@]/.test(source) || !source.includes("/") ? name : undefined;
  const { stat } = await nodeModules.fs();
  const there = await stat(source).then(
    () => true,
    () => false,
  );
  return there ? undefined : name;
}

/** The cache of this runtime; undefined in browsers that keep nothing. */
export async function openCache(settings: HubSettings): Promise<ModelCache | undefined> {
  if (settings.cacheFolder === undefined) return (await import("./cache-opfs.js")).opfsCache();
  return (await import("./cache-files.js")).fileCache(settings.cacheFolder);
}

/**
 * Opens a model by its name, from the cache if that has it; otherwise it is downloaded first. Weights are not read yet.
 * @returns undefined when the source is not a name, or a URL of something that is not one GGUF file
 * @throws OptionError, SourceError, DownloadError, FormatError, UnsupportedError, or the signal's reason
 */
export async function openNamed(source: string, options: OpenNameOptions = {}): Promise<ModelFile | undefined> {
  const { signal, onProgress } = options;
  const settings = await hubSettings(options.hub);
  const name = await nameOf(source, settings);
  if (!name || (name.kind === "url" && options.hub?.cacheUrls === false)) return undefined;
  const cache = await openCache(settings);
  if (!cache && name.kind === "url") return undefined;
  if (!cache) return openNothingKept(settings, name, options);
  const found = await findCached(settings, cache, name, signal);
  if (found) return openPlan(cache, found, options);
  const plan = await planUnlessFolder(settings, cache, name, signal);
  if (!plan) return undefined;
  if (options.missing === "stream") return streamPlan(settings, plan, options);
  await refuseTooLarge(settings, plan, options.fit, signal);
  await pull(settings, cache, plan, { signal, onProgress });
  return openPlan(cache, plan, options);
}

/** In browsers that keep nothing a model is read where it is, every time. */
async function openNothingKept(settings: HubSettings, name: ModelName, options: OpenOptions): Promise<ModelFile> {
  const { memoryCache } = await import("./cache-memory.js");
  return streamPlan(settings, await planPull(settings, memoryCache(), name, options.signal), options);
}

/** The plan of a name; undefined for a URL that may be the one of a folder. */
export async function planUnlessFolder(
  settings: HubSettings,
  cache: ModelCache,
  name: ModelName,
  signal: AbortSignal | undefined,
): Promise<PullPlan | undefined> {
  if (name.kind === "hub" || settings.offline) return planPull(settings, cache, name, signal);
  if (new URL(name.url).pathname.endsWith("/")) return undefined;
  return planPull(settings, cache, name, signal).catch((error) => {
    // Folders are asked for file by file, and missing files have messages of their own there.
    if (error instanceof SourceError) return undefined;
    throw error;
  });
}
