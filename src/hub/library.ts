import { OptionError, SourceError } from "../errors.js";
import type { ListedFile } from "./contents.js";
import type { ModelName } from "./names.js";
import type { PulledFile, PullProgress } from "./pull.js";
import type { HubOptions } from "./settings.js";
import { hubSettings } from "./settings.js";
import { nameOf, openCache } from "./source.js";

/** A model that was pulled. */
export interface PulledModel {
  /** `owner/name`, or the URL. */
  repository: string;
  /** The commit; undefined for URLs. */
  commit: string | undefined;
  files: PulledFile[];
}

/** Options of `pullModel`. */
export interface PullModelOptions {
  hub?: HubOptions | undefined;
  /** Stops; what was downloaded is kept, and gone on with next time. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: PullProgress) => void) | undefined;
  /** Compare files that are there with their hashes too. Default false. */
  verify?: boolean | undefined;
}

/**
 * Downloads a model by its name into the cache, or brings it up to date.
 * @throws OptionError when the name fits nothing or several models; SourceError; DownloadError; or the signal's reason
 */
export async function pullModel(name: string, options: PullModelOptions = {}): Promise<PulledModel> {
  const { settings, cache, parsed } = await named(name, options.hub);
  const { planPull } = await import("./plan.js");
  const { pull } = await import("./pull.js");
  const plan = await planPull(settings, cache, parsed, options.signal);
  const { refuseTooLarge } = await import("./too-large.js");
  await refuseTooLarge(settings, plan, {}, options.signal);
  const files = await pull(settings, cache, plan, options);
  return { repository: plan.repository, commit: plan.commit, files };
}

/** The files of the cache, complete or begun: all of them, or those of a name. */
export async function listModels(name?: string, hub?: HubOptions): Promise<ListedFile[]> {
  const settings = await hubSettings({ ...hub, offline: true });
  const cache = await openCache(settings);
  if (!cache) return [];
  const { listCached } = await import("./contents.js");
  return listCached(cache, name === undefined ? undefined : (await named(name, hub)).parsed);
}

/**
 * Removes from the cache exactly what a name says.
 * @returns the files, and the bytes that are free again
 * @throws OptionError when the cache has nothing of that name
 */
export async function removeModel(name: string, hub?: HubOptions): Promise<{ files: string[]; bytes: number }> {
  const { cache, parsed } = await named(name, { ...hub, offline: true });
  const { removeCached } = await import("./contents.js");
  return removeCached(cache, parsed);
}

/**
 * Browsers: copies a chosen GGUF file into the page's own storage.
 * @returns the name under which it loads, lists and is removed
 * @throws OptionError when it is not a GGUF file; DownloadError when there is no room
 */
export async function keepModel(
  file: File,
  options: { signal?: AbortSignal | undefined; onBytes?: ((bytes: number) => void) | undefined } = {},
): Promise<string> {
  const cache = await openCache(await hubSettings());
  if (!cache) throw new SourceError("This browser keeps no files for this page", { file: file.name });
  const { keepFile } = await import("./keep.js");
  return keepFile(cache, file, options);
}

async function named(text: string, hub: HubOptions | undefined) {
  const settings = await hubSettings(hub);
  const parsed: ModelName | undefined = await nameOf(text, settings);
  const cache = await openCache(settings);
  if (!parsed)
    throw new OptionError(`${JSON.stringify(text)} is not the name of a model`, {}, "Write hf:owner/repository");
  if (!cache) throw new SourceError("This browser keeps no files for this page", { file: text });
  return { settings, cache, parsed };
}
