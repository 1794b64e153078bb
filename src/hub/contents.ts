import { DownloadError, OptionError } from "../errors.js";
import { type CachedRepository, type ModelCache, repositoryKey, repositoryOf } from "./cache.js";
import { type HubName, type ModelName, showName } from "./names.js";
import { keptTree } from "./plan.js";
import { selectFiles } from "./select.js";
import { readUrlNote, urlPlace } from "./url-files.js";

/** A file that the cache has, or a part of one. */
export interface ListedFile {
  /** `owner/name`, or the address of a file from a URL. */
  repository: string;
  /** Path in the repository; the name of its content where the path is not known. */
  file: string;
  /** Bytes that are there. */
  size: number;
  /** The download is not complete. */
  partial: boolean;
  /** Bytes there will be, of a partial file, where they are known. */
  totalSize?: number | undefined;
  commit: string | undefined;
  /** Branches and tags that stand for this commit. */
  revisions: string[];
  /** Where it is; undefined for a partial file. */
  path: string | undefined;
}

/** Every file of the cache, of all repositories or of the one that is named. */
export async function listCached(cache: ModelCache, name?: ModelName): Promise<ListedFile[]> {
  const key = name && (await keyOf(name));
  const found: ListedFile[] = [];
  for (const repository of await cache.list()) {
    if (key !== undefined && repository.key !== key) continue;
    found.push(...(await listRepository(cache, repository)));
  }
  return found.filter((file) => name?.kind !== "url" || file.repository === name.url);
}

async function listRepository(cache: ModelCache, found: CachedRepository): Promise<ListedFile[]> {
  const { key, refs, commits, partials } = found;
  const files: ListedFile[] = [];
  const { repository } = repositoryOf(key);
  const fromUrl = key.startsWith("models--url--");
  for (const [commit, cached] of commits)
    for (const { path, size } of cached) {
      const url = fromUrl ? (await readUrlNote(cache, key, path))?.url : undefined;
      files.push({
        repository: url ?? repository,
        file: path,
        size,
        partial: false,
        commit: fromUrl ? undefined : commit,
        revisions: fromUrl ? [] : [...refs].filter(([, other]) => other === commit).map(([ref]) => ref),
        path: cache.location(key, commit, path),
      });
    }
  const trees = await Promise.all(
    (await noted(cache, key, commits, refs)).map((commit) => keptTree(cache, key, commit)),
  );
  for (const [oid, size] of partials) {
    const known = trees.flatMap((tree) => tree ?? []).find((file) => file.oid === oid.split(".")[0]);
    const url = fromUrl ? await cache.readNote(key, `${oid}.url`) : undefined;
    files.push({
      repository: url ?? repository,
      file: known?.path ?? (url ? (url.split("/").pop() as string) : oid),
      size,
      partial: true,
      totalSize: known?.size,
      commit: undefined,
      revisions: [],
      path: undefined,
    });
  }
  return files;
}

/** Commits whose listing may be kept: also those of which nothing is complete. */
async function noted(
  cache: ModelCache,
  key: string,
  commits: ReadonlyMap<string, unknown>,
  refs: ReadonlyMap<string, string>,
): Promise<string[]> {
  const last = (await cache.readNote(key, "commits"))?.split("\n") ?? [];
  return [...new Set([...commits.keys(), ...refs.values(), ...last])].filter(Boolean);
}

/**
 * Removes exactly what a name says: the repository, one quantisation or file of it, or one revision.
 * @throws OptionError when the cache has nothing of that name, DownloadError while it is being downloaded
 */
export async function removeCached(cache: ModelCache, name: ModelName): Promise<{ files: string[]; bytes: number }> {
  const key = await keyOf(name);
  const repository = (await cache.list()).find((found) => found.key === key);
  const nothing = () =>
    new OptionError(`The cache has nothing of ${showName(name)}`, {}, "`deltallm list` shows what there is");
  if (!repository) throw nothing();
  if (name.kind === "url") {
    const { file, commit } = await urlPlace(name.url);
    const partials: string[] = [];
    for (const oid of repository.partials.keys())
      if ((await cache.readNote(key, `${oid}.url`)) === name.url) partials.push(oid);
    const there = repository.commits.get(commit)?.some(({ path }) => path === file);
    if (!there && partials.length === 0) throw nothing();
    const bytes = await cache.remove(key, { files: there ? [{ commit, path: file }] : [], partials });
    return { files: [file], bytes };
  }
  return removeOfHub(cache, name, repository, nothing);
}

async function removeOfHub(
  cache: ModelCache,
  name: HubName,
  { key, refs, commits, partials }: CachedRepository,
  nothing: () => Error,
): Promise<{ files: string[]; bytes: number }> {
  const commit = name.pinned ? (refs.get(name.revision) ?? name.revision) : undefined;
  const chosen = [...commits].filter(([each]) => commit === undefined || each === commit);
  if (commit === undefined && name.quant === undefined && name.file === undefined) {
    for (const oid of partials.keys()) await refuseBusy(cache, key, oid);
    const files = [...new Set(chosen.flatMap(([, list]) => list.map(({ path }) => path)))];
    return { files, bytes: await cache.remove(key) };
  }
  const trees = new Map<string, { path: string; size: number; oid: string }[]>();
  for (const each of await noted(cache, key, commits, refs))
    if (commit === undefined || each === commit) trees.set(each, (await keptTree(cache, key, each)) ?? []);
  const where = showName({ ...name, quant: undefined, file: undefined });
  const whole = name.quant === undefined && name.file === undefined;
  const files: { commit: string; path: string }[] = [];
  const begun = new Set<string>();
  for (const each of new Set([...chosen.map(([one]) => one), ...trees.keys()])) {
    const there = commits.get(each) ?? [];
    const inTree = (trees.get(each) ?? []).filter(({ oid }) =>
      [...partials.keys()].some((one) => one.split(".")[0] === oid),
    );
    const known = [...there, ...inTree.filter(({ path }) => !there.some((file) => file.path === path))];
    const wanted = whole ? known.map(({ path }) => path) : pathsOf(known, name, where);
    for (const path of wanted) if (there.some((file) => file.path === path)) files.push({ commit: each, path });
    for (const { path, oid } of inTree) if (wanted.includes(path)) begun.add(oid);
  }
  const gone = [...partials.keys()].filter((oid) => begun.has(oid.split(".")[0] as string));
  if (files.length === 0 && gone.length === 0) throw nothing();
  for (const oid of gone) await refuseBusy(cache, key, oid);
  const bytes = await cache.remove(key, { files, partials: gone });
  return { files: [...new Set(files.map(({ path }) => path))], bytes };
}

/** The files of a name among those that are there: some parts are enough. */
function pathsOf(files: readonly { path: string; size: number }[], name: HubName, where: string): string[] {
  const parts = /-\d{5}-of-(\d{5})\.gguf$/i;
  // Missing parts are made up, so that what is left of a model can be named as well.
  const made = files.flatMap(({ path }) => {
    const count = Number(parts.exec(path)?.[1] ?? 0);
    return Array.from({ length: Math.min(count, 1024) }, (_, i) =>
      path.replace(/-\d{5}-of-/i, `-${String(i + 1).padStart(5, "0")}-of-`),
    );
  });
  const all = [...new Set([...files.map(({ path }) => path), ...made])].map((path) => ({ path, size: 0 }));
  if (name.file !== undefined) {
    const below = files.filter(({ path }) => path === name.file || path.startsWith(`${name.file}/`));
    if (below.length && !parts.test(name.file)) return below.map(({ path }) => path);
  }
  try {
    return selectFiles(all, name, where).files.map(({ path }) => path);
  } catch (error) {
    if (error instanceof OptionError && error.message.includes("models that fit")) throw error;
    return [];
  }
}

async function refuseBusy(cache: ModelCache, key: string, oid: string): Promise<void> {
  const busy = new DownloadError("This model is being downloaded by another process", { file: key }, "Stop that first");
  const controller = new AbortController();
  const unlock = await cache.lock(key, oid, { signal: controller.signal, onWait: () => controller.abort(busy) });
  await unlock();
}

async function keyOf(name: ModelName): Promise<string> {
  return name.kind === "url" ? (await urlPlace(name.url)).key : repositoryKey("models", name.repository);
}
