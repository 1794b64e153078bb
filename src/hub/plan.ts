import { OptionError, SourceError } from "../errors.js";
import { fetchCommit, fetchTree, type RepositoryFile, type RepositoryKind } from "./api.js";
import { type CachedFile, type ModelCache, repositoryKey } from "./cache.js";
import { type HubName, type ModelName, showName, type UrlName } from "./names.js";
import { type Selection, selectFiles } from "./select.js";
import type { HubSettings } from "./settings.js";
import { partsOf, peekUrl, readUrlNote, sameOnServer, urlOf, urlPlace } from "./url-files.js";

/** Whoever loads from a URL again within this time gets the copy without a question to the server. */
const FRESH_MS = 24 * 3600 * 1000;

/** A file that a name needs. */
export interface PlannedFile {
  path: string;
  /** Bytes. */
  size: number;
  /** Name of its content; undefined for files from URLs, whose hash nobody says beforehand. */
  oid: string | undefined;
  /** Whether the cache has all of it. */
  cached: boolean;
  /** Only for URLs. */
  url?: string | undefined;
  version?: string | undefined;
}

/** What a name stands for, and how much of it the cache has. */
export interface PullPlan {
  name: ModelName;
  kind: RepositoryKind | "url";
  /** `owner/name`, or the URL. */
  repository: string;
  revision: string;
  /** Undefined for URLs. */
  commit: string | undefined;
  key: string;
  /** Folder of the cache that has the files. */
  snapshot: string;
  container: "gguf" | "safetensors";
  /** The file to open, or the folder for safetensors. */
  main: string;
  files: PlannedFile[];
}

/** Bytes that are still to come. */
export function missingBytes(plan: PullPlan): number {
  return plan.files.reduce((sum, file) => sum + (file.cached ? 0 : file.size), 0);
}

/**
 * Asks the hub, or the server of a URL, what a name stands for now.
 * @throws OptionError when the name fits nothing or several models, SourceError, DownloadError
 */
export async function planPull(
  settings: HubSettings,
  cache: ModelCache,
  name: ModelName,
  signal?: AbortSignal,
): Promise<PullPlan> {
  if (settings.offline)
    throw new SourceError(
      "This model is not in the cache, and nothing is downloaded while offline",
      { file: showName(name) },
      "Pull it once with a connection, without --offline and HF_HUB_OFFLINE",
    );
  if (name.kind === "url") return planUrl(settings, cache, name, signal);
  const key = repositoryKey("models", name.repository);
  const commit = await fetchCommit(settings, "models", name.repository, name.revision, signal);
  const tree = await treeOf(settings, cache, "models", name.repository, commit, signal);
  const selection = selectFiles(tree, name, showName({ ...name, quant: undefined, file: undefined }));
  return planOf(cache, name, key, commit, selection);
}

/** The listing of a commit: it never changes, so one that is kept is as good as a new one. */
export async function treeOf(
  settings: HubSettings,
  cache: ModelCache,
  kind: RepositoryKind,
  repository: string,
  commit: string,
  signal: AbortSignal | undefined,
): Promise<RepositoryFile[]> {
  const key = repositoryKey(kind, repository);
  const kept = await keptTree(cache, key, commit);
  if (kept) return kept;
  const tree = await fetchTree(settings, kind, repository, commit, signal);
  await cache.writeNote(key, `${commit}.tree.json`, JSON.stringify(tree));
  const commits = new Set((await cache.readNote(key, "commits"))?.split("\n"));
  await cache.writeNote(key, "commits", [...commits.add(commit)].join("\n"));
  return tree;
}

/** A listing kept earlier. */
export async function keptTree(cache: ModelCache, key: string, commit: string): Promise<RepositoryFile[] | undefined> {
  const text = await cache.readNote(key, `${commit}.tree.json`);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as RepositoryFile[];
  } catch {
    return undefined;
  }
}

/** What the cache alone can say about a name; undefined when something is missing, or cannot be known to be all. */
export async function findCached(
  settings: HubSettings,
  cache: ModelCache,
  name: ModelName,
  signal?: AbortSignal,
): Promise<PullPlan | undefined> {
  if (name.kind === "url") return findUrl(settings, cache, name, signal);
  const key = repositoryKey("models", name.repository);
  const commit = await cachedCommit(cache, key, name);
  if (commit === undefined) return undefined;
  const files = await cache.files(key, commit);
  if (files.length === 0) return undefined;
  const tree = await keptTree(cache, key, commit);
  const where = showName({ ...name, quant: undefined, file: undefined });
  if (!tree && !settings.offline && name.quant === undefined && name.file === undefined) {
    // Put there by another program: what the name means without a quantisation, only the hub can say.
    return undefined;
  }
  const choose = (among: readonly { path: string; size: number }[]) => selectFiles(among, name, where);
  const plan = (selection: Selection<{ path: string; size: number }>) =>
    planOf(cache, name, key, commit, {
      ...selection,
      files: selection.files.map(({ path, size }) => ({
        path,
        size,
        oid: (tree ?? []).find((file) => file.path === path)?.oid ?? files.find((file) => file.path === path)?.oid,
      })),
    });
  if (tree) {
    const wanted = await plan(choose(tree));
    if (wanted.files.every((file) => file.cached)) return wanted;
    if (!settings.offline) return undefined;
  }
  try {
    const chosen = await plan(choose(files));
    return (await hasAllShards(cache, chosen, files)) ? chosen : undefined;
  } catch (error) {
    if (error instanceof OptionError && !settings.offline) return undefined;
    throw error;
  }
}

/** A folder without a listing may lack shards that only its index names. */
async function hasAllShards(cache: ModelCache, plan: PullPlan, files: CachedFile[]): Promise<boolean> {
  const index = plan.files.find(({ path }) => path.endsWith("model.safetensors.index.json"));
  if (plan.container === "gguf" || !index) return true;
  const source = await cache.open(plan.key, plan.snapshot, index.path);
  if (!source) return false;
  try {
    const text = new TextDecoder().decode(await source.read(0, source.size));
    const shards = new Set(Object.values(Object(JSON.parse(text).weight_map)));
    const folder = index.path.slice(0, index.path.lastIndexOf("/") + 1);
    return [...shards].every((shard) => files.some(({ path }) => path === folder + shard));
  } catch {
    return false;
  } finally {
    await source.close?.();
  }
}

/** The commit of a revision as the cache knows it. */
export async function cachedCommit(cache: ModelCache, key: string, name: HubName): Promise<string | undefined> {
  if (/^[0-9a-f]{40}$/.test(name.revision)) return name.revision;
  return cache.readRef(key, name.revision);
}

async function planOf(
  cache: ModelCache,
  name: HubName,
  key: string,
  commit: string,
  selection: Selection<{ path: string; size: number; oid?: string | undefined }>,
): Promise<PullPlan> {
  const there = new Map((await cache.files(key, commit)).map((file) => [file.path, file]));
  return {
    name,
    kind: "models",
    repository: name.repository,
    revision: name.revision,
    commit,
    key,
    snapshot: commit,
    container: selection.container,
    main: selection.main,
    files: selection.files.map(({ path, size, oid }) => ({
      path,
      size,
      oid: oid ?? there.get(path)?.oid,
      cached: there.get(path)?.size === size,
    })),
  };
}

async function planUrl(
  settings: HubSettings,
  cache: ModelCache,
  name: UrlName,
  signal: AbortSignal | undefined,
): Promise<PullPlan> {
  const place = await urlPlace(name.url);
  const there = new Map((await cache.files(place.key, place.commit)).map((file) => [file.path, file.size]));
  const files: PlannedFile[] = [];
  for (const file of partsOf(place.file)) {
    const url = file === place.file ? name.url : urlOf(place, file);
    const found = await peekUrl(settings, url, file, signal);
    if (!found)
      throw new SourceError("This is not a GGUF file", { file: url }, "Only GGUF files are pulled by their address");
    const note = await readUrlNote(cache, place.key, file);
    const same = note?.version === found.version && note?.size === found.size;
    const cached = same && there.get(file) === found.size;
    files.push({
      path: file,
      size: found.size,
      // A name that is a SHA-256 says what the bytes must be.
      oid: cached ? note?.oid : /^[\da-f]{64}$/.exec(file)?.[0],
      cached,
      url,
      version: found.version,
    });
  }
  return urlPlan(name, place, files);
}

async function findUrl(
  settings: HubSettings,
  cache: ModelCache,
  name: UrlName,
  signal: AbortSignal | undefined,
): Promise<PullPlan | undefined> {
  const place = await urlPlace(name.url);
  const there = new Map((await cache.files(place.key, place.commit)).map((file) => [file.path, file.size]));
  const files: PlannedFile[] = [];
  for (const file of partsOf(place.file)) {
    const note = await readUrlNote(cache, place.key, file);
    if (!note || there.get(file) !== note.size) return undefined;
    const { size, oid, version, url } = note;
    const checked = Number(await cache.readNote(place.key, `${file}.checked`));
    if (!settings.offline && !url.startsWith("file:") && !(Date.now() - checked < FRESH_MS)) {
      if ((await sameOnServer(settings, note, signal)) === false) return undefined;
      await cache.writeNote(place.key, `${file}.checked`, String(Date.now()));
    }
    files.push({ path: file, size, oid, cached: true, url, version });
  }
  return urlPlan(name, place, files);
}

function urlPlan(name: UrlName, place: { key: string; commit: string; file: string }, files: PlannedFile[]): PullPlan {
  return {
    name,
    kind: "url",
    repository: name.url,
    revision: "main",
    commit: undefined,
    key: place.key,
    snapshot: place.commit,
    container: "gguf",
    main: place.file,
    files,
  };
}
