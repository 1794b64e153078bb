import { DownloadError, SourceError } from "../errors.js";
import { fileAddress, type RepositoryKind } from "./api.js";
import type { ModelCache } from "./cache.js";
import { type Downloaded, download } from "./download.js";
import { type HashKind, startHash } from "./hash.js";
import { missingBytes, type PlannedFile, type PullPlan } from "./plan.js";
import { megabytes } from "./select.js";
import type { HubSettings } from "./settings.js";
import type { UrlNote } from "./url-files.js";

const READ_BYTES = 4 << 20;

/** How far a download has come. */
export interface PullProgress {
  /** The file that is being worked on. */
  file: string;
  /** Bytes of all files that are there. */
  bytes: number;
  totalBytes: number;
  /** What is done: `wait` for another process that downloads the same file, `download`, `check` what was there. */
  step: "wait" | "download" | "check";
}

export interface PullOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: PullProgress) => void) | undefined;
  /** Compare files that are there with the hash the hub names, and download those again that differ. Default false. */
  verify?: boolean | undefined;
}

/** A file that was pulled. */
export interface PulledFile {
  /** Path in the repository. */
  file: string;
  /** Where it is. */
  path: string;
  size: number;
  /** SHA-256 of its content; undefined for a file that was there and was not looked at. */
  sha256: string | undefined;
  /** Bytes that came over the network. */
  fetchedBytes: number;
  /** Bytes that were there from an interrupted download. */
  resumedBytes: number;
}

/**
 * Brings every file of a plan into the cache. Files that are there are not downloaded again; several processes may pull
 * the same files.
 * @throws DownloadError, SourceError, or the signal's reason; what was downloaded is kept and gone on with next time
 */
export async function pull(
  settings: HubSettings,
  cache: ModelCache,
  plan: PullPlan,
  options: PullOptions = {},
): Promise<PulledFile[]> {
  await checkRoom(cache, plan);
  const totalBytes = plan.files.reduce((sum, file) => sum + file.size, 0);
  let before = 0;
  const pulled: PulledFile[] = [];
  for (const file of plan.files) {
    const report = (step: PullProgress["step"]) => (bytes: number) =>
      options.onProgress?.({ file: file.path, bytes: before + bytes, totalBytes, step });
    pulled.push(await pullFile(settings, cache, plan, file, options, report));
    before += file.size;
  }
  if (plan.commit !== undefined && plan.commit !== plan.revision)
    await cache.writeRef(plan.key, plan.revision, plan.commit);
  else if (plan.kind === "url") await cache.writeRef(plan.key, "main", plan.snapshot);
  return pulled;
}

async function pullFile(
  settings: HubSettings,
  cache: ModelCache,
  plan: PullPlan,
  file: PlannedFile,
  options: PullOptions,
  report: (step: PullProgress["step"]) => (bytes: number) => void,
): Promise<PulledFile> {
  const { signal } = options;
  const result = (sha256: string | undefined, downloaded?: Downloaded): PulledFile => ({
    file: file.path,
    path: cache.location(plan.key, plan.snapshot, file.path),
    size: file.size,
    sha256: sha256 ?? (file.oid?.length === 64 ? file.oid : undefined),
    fetchedBytes: downloaded?.fetchedBytes ?? 0,
    resumedBytes: downloaded?.resumedBytes ?? 0,
  });
  if (file.cached && !options.verify) return result(undefined);
  const blob = file.oid ?? `url-${await shortHash(`${file.url} ${file.version ?? ""} ${file.size}`)}`;
  const unlock = await cache.lock(plan.key, blob, { signal, onWait: () => report("wait")(0) });
  try {
    // Another process may have brought it meanwhile.
    if (file.oid !== undefined && (await cache.blobSize(plan.key, file.oid)) !== undefined) {
      const sha256 = await checkBlob(cache, plan.key, file, options.verify ?? false, signal, report("check"));
      if (sha256 !== undefined) {
        await cache.link(plan.key, plan.snapshot, file.path, file.oid);
        return result(sha256);
      }
      await cache.removeBlob(plan.key, file.oid);
    }
    const address =
      file.url ?? fileAddress(settings, plan.kind as RepositoryKind, plan.repository, plan.commit as string, file.path);
    if (settings.offline) throw new SourceError("The file is not in the cache", { file: address });
    const hash = file.oid === undefined ? undefined : { ...hashKind(file.oid, file.size), digest: file.oid };
    if (plan.kind === "url") await cache.writeNote(plan.key, `${blob}.url`, address);
    const wanted = { address, key: plan.key, blob, size: file.size, hash, name: address };
    const downloaded = await download(settings, cache, wanted, { signal, onBytes: report("download") });
    const oid = file.oid ?? downloaded.sha256;
    await cache.link(plan.key, plan.snapshot, file.path, oid);
    if (plan.kind === "url") {
      const note: UrlNote = { url: address, version: file.version, oid, size: file.size };
      await cache.writeNote(plan.key, `${file.path}.json`, JSON.stringify(note));
      await cache.writeNote(plan.key, `${file.path}.checked`, String(Date.now()));
    }
    return result(downloaded.sha256, downloaded);
  } finally {
    await unlock();
  }
}

/** SHA-256 of a blob that is there, empty when it was not computed; undefined when it is not what its name says. */
async function checkBlob(
  cache: ModelCache,
  key: string,
  file: PlannedFile,
  verify: boolean,
  signal: AbortSignal | undefined,
  onBytes: (bytes: number) => void,
): Promise<string | undefined> {
  const oid = file.oid as string;
  const source = await cache.openBlob(key, oid);
  if (!source) return undefined;
  try {
    if (source.size !== file.size) return undefined;
    if (!verify && oid.length === 64) return oid;
    const sha256 = await startHash({ kind: "sha256" });
    const named = await startHash(hashKind(oid, file.size));
    for (let at = 0; at < source.size; at += READ_BYTES) {
      const bytes = await source.read(at, Math.min(READ_BYTES, source.size - at), signal);
      sha256.update(bytes);
      named.update(bytes);
      onBytes(at + bytes.length);
    }
    return named.digest() === oid ? sha256.digest() : undefined;
  } finally {
    await source.close?.();
  }
}

/** The kind of hash that a blob's name is. */
function hashKind(oid: string, size: number): HashKind {
  return oid.length === 64 ? { kind: "sha256" } : { kind: "git", size };
}

async function shortHash(text: string): Promise<string> {
  const hash = await startHash({ kind: "sha256" });
  hash.update(new TextEncoder().encode(text));
  return hash.digest().slice(0, 40);
}

/** Better before the first byte than after an hour. */
async function checkRoom(cache: ModelCache, plan: PullPlan): Promise<void> {
  const missing = missingBytes(plan);
  if (missing === 0) return;
  const free = await cache.freeBytes();
  if (free === undefined) return;
  const partial = await partialBytes(cache, plan);
  if (missing - partial <= free) return;
  throw new DownloadError(
    `There is not enough room: ${megabytes(missing - partial)} are to come, ${megabytes(free)} are free`,
    { file: cache.name },
    "Make room, choose a smaller file, or remove models with `deltallm remove`",
  );
}

async function partialBytes(cache: ModelCache, plan: PullPlan): Promise<number> {
  const partials = (await cache.list()).find(({ key }) => key === plan.key)?.partials;
  return plan.files.reduce((sum, { oid, cached }) => sum + ((!cached && oid && partials?.get(oid)) || 0), 0);
}
