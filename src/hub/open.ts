import type { ModelFolder } from "../formats/folder.js";
import type { ModelFile } from "../formats/model-file.js";
import { openBeside, openModel } from "../formats/open.js";
import type { OpenOptions } from "../formats/options.js";
import { nodeModules } from "../runtime/node-modules.js";
import { platform } from "../runtime/platform.js";
import type { ModelCache } from "./cache.js";
import { type ModelName, parseName } from "./names.js";
import { findCached, type PullPlan, planPull } from "./plan.js";
import { type PullProgress, pull } from "./pull.js";
import type { HubSettings } from "./settings.js";

/** The name in a source, or undefined for a path. Something that is there under that very path is a path. */
export async function nameOf(source: string, settings: HubSettings): Promise<ModelName | undefined> {
  const name = parseName(source, settings.endpoint);
  if (!name || name.kind === "url" || /^(?:hf|huggingface):|^https?:/i.test(source)) return name;
  if (platform === "browser") return /[:@]/.test(source) || !source.includes("/") ? name : undefined;
  const { stat } = await nodeModules.fs();
  const there = await stat(source).then(
    () => true,
    () => false,
  );
  return there ? undefined : name;
}

/** Opens a model by its name; downloads what the cache lacks. Weights are not read yet. */
export async function openName(
  settings: HubSettings,
  cache: ModelCache,
  name: ModelName,
  options: OpenOptions & { onProgress?: ((progress: PullProgress) => void) | undefined } = {},
): Promise<ModelFile> {
  const { signal, onProgress } = options;
  const found = await findCached(settings, cache, name, signal);
  if (found) return openPlan(cache, found, options);
  const plan = await planPull(settings, cache, name, signal);
  await pull(settings, cache, plan, { signal, onProgress });
  return openPlan(cache, plan, options);
}

/** Opens a model that the cache has. */
export function openPlan(cache: ModelCache, plan: PullPlan, options: OpenOptions): Promise<ModelFile> {
  const { key, snapshot, main, container } = plan;
  const slash = main.lastIndexOf("/") + 1;
  const base = main.slice(0, slash);
  const folder: ModelFolder = {
    name: cache.location(key, snapshot, base.replace(/\/$/, "")),
    open: (file) => cache.open(key, snapshot, base + file),
  };
  const file = main.slice(slash);
  return container === "safetensors" && file === "" ? openModel(folder, options) : openBeside(folder, file, options);
}
