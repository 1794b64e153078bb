import type { ModelFolder } from "../formats/folder.js";
import type { ModelFile } from "../formats/model-file.js";
import { openBeside, openModel } from "../formats/open.js";
import type { OpenOptions } from "../formats/options.js";
import { fileAddress } from "./api.js";
import type { ModelCache } from "./cache.js";
import type { PullPlan } from "./plan.js";
import { remoteFile } from "./remote-file.js";
import type { HubSettings } from "./settings.js";

/** Opens a model that the cache has. */
export function openPlan(cache: ModelCache, plan: PullPlan, options: OpenOptions): Promise<ModelFile> {
  return openIn(plan, options, (base) => ({
    name: cache.location(plan.key, plan.snapshot, base.replace(/\/$/, "")),
    open: (file) => cache.open(plan.key, plan.snapshot, base + file),
  }));
}

/** Opens a model where it is, without the cache. */
export function streamPlan(settings: HubSettings, plan: PullPlan, options: OpenOptions): Promise<ModelFile> {
  return openIn(plan, options, (base) => ({
    name: `${plan.repository}${base && `/${base.replace(/\/$/, "")}`}`,
    async open(file) {
      const found = plan.files.find(({ path }) => path === base + file);
      if (!found) return undefined;
      const address = () => fileAddress(settings, "models", plan.repository, plan.commit as string, found.path);
      return remoteFile(settings, found.url ?? address(), found.size);
    },
  }));
}

function openIn(plan: PullPlan, options: OpenOptions, folderAt: (base: string) => ModelFolder): Promise<ModelFile> {
  const { signal, i2sLayout } = options;
  const slash = plan.main.lastIndexOf("/") + 1;
  const file = plan.main.slice(slash);
  const folder = folderAt(plan.main.slice(0, slash));
  return file === "" ? openModel(folder, { signal, i2sLayout }) : openBeside(folder, file, { signal, i2sLayout });
}
