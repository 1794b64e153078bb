import { OptionError, SourceError } from "../errors.js";
import { fetchCommit } from "./api.js";
import { type ModelCache, repositoryKey } from "./cache.js";
import type { HubName } from "./names.js";
import { keptTree, type PullPlan, treeOf } from "./plan.js";
import { type PullOptions, pull } from "./pull.js";
import type { HubSettings } from "./settings.js";

/** Larger ones are no evaluation sets. */
const MOST_BYTES = 1 << 30;

/** A file of a data set. */
export interface DataFile {
  path: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Files of a data set repository of the hub, from the cache, downloaded first where it lacks them.
 * @param pattern which files, by their path
 * @throws OptionError when there are none, SourceError, DownloadError, or the signal's reason
 */
export async function datasetFiles(
  settings: HubSettings,
  cache: ModelCache,
  repository: string,
  revision: string,
  pattern: RegExp,
  options: PullOptions = {},
): Promise<DataFile[]> {
  const plan = await planOf(settings, cache, repository, revision, pattern, options.signal);
  if (plan.files.some(({ cached }) => !cached)) await pull(settings, cache, plan, options);
  const files: DataFile[] = [];
  for (const { path } of plan.files) {
    const source = await cache.open(plan.key, plan.snapshot, path);
    if (!source) throw new SourceError("The file has gone from the cache", { file: `${repository}/${path}` });
    try {
      files.push({ path, bytes: new Uint8Array(await source.read(0, source.size)) });
    } finally {
      await source.close?.();
    }
  }
  return files;
}

async function planOf(
  settings: HubSettings,
  cache: ModelCache,
  repository: string,
  revision: string,
  pattern: RegExp,
  signal: AbortSignal | undefined,
): Promise<PullPlan> {
  const key = repositoryKey("datasets", repository);
  const kept = await cache.readRef(key, revision);
  const known = kept === undefined ? undefined : await keptTree(cache, key, kept);
  if (!known && settings.offline)
    throw new SourceError("This data set is not in the cache, and nothing is downloaded while offline", {
      file: repository,
    });
  const commit = known && kept ? kept : await fetchCommit(settings, "datasets", repository, revision, signal);
  const tree = known ?? (await treeOf(settings, cache, "datasets", repository, commit, signal));
  const there = new Map((await cache.files(key, commit)).map(({ path, size }) => [path, size]));
  const files = tree
    .filter(({ path }) => pattern.test(path))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map(({ path, size, oid }) => ({ path, size, oid, cached: there.get(path) === size }));
  if (files.length === 0)
    throw new OptionError(
      "The data set has not the files that were expected",
      { file: repository },
      `Wanted ${pattern}`,
    );
  if (files.reduce((sum, { size }) => sum + size, 0) > MOST_BYTES)
    throw new OptionError("The data set is larger than an evaluation set can be", { file: repository });
  const name: HubName = { kind: "hub", repository, revision, pinned: true, text: repository };
  const main = files[0]?.path as string;
  return {
    name,
    kind: "datasets",
    repository,
    revision,
    commit,
    key,
    snapshot: commit,
    container: "gguf",
    main,
    files,
  };
}
