import { DownloadError, SourceError } from "../errors.js";
import { askPatiently } from "./http.js";
import { safePath } from "./paths.js";
import type { HubSettings } from "./settings.js";

/** Bytes of one page of a listing. */
const MAX_PAGE_BYTES = 32 << 20;
const MAX_PAGES = 200;
const MAX_FILES = 100_000;

/** Kinds of repositories that are read here. */
export type RepositoryKind = "models" | "datasets";

/** A file of a repository at one commit. */
export interface RepositoryFile {
  path: string;
  /** Bytes. */
  size: number;
  /** SHA-256 of a large file; the SHA-1 that git gives a small one. Name of the blob in the cache. */
  oid: string;
}

/** The commit that a branch, a tag or a commit stands for. */
export async function fetchCommit(
  settings: HubSettings,
  kind: RepositoryKind,
  repository: string,
  revision: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const address = `${settings.endpoint}/api/${kind}/${repository}/revision/${encodeURIComponent(revision)}`;
  const answer = await askJson(settings, address, signal);
  const { sha } = Object(answer.json);
  if (typeof sha !== "string" || !/^[0-9a-f]{40}$/.test(sha))
    throw new DownloadError("The hub's answer names no commit", { file: address });
  return sha;
}

/** Every file of a commit. */
export async function fetchTree(
  settings: HubSettings,
  kind: RepositoryKind,
  repository: string,
  commit: string,
  signal: AbortSignal | undefined,
): Promise<RepositoryFile[]> {
  const files: RepositoryFile[] = [];
  let address: string | undefined = `${settings.endpoint}/api/${kind}/${repository}/tree/${commit}?recursive=true`;
  for (let page = 0; address !== undefined; page++) {
    const answer: { json: unknown; next: string | undefined } = await askJson(settings, address, signal);
    if (!Array.isArray(answer.json))
      throw new DownloadError("The hub's answer is not a list of files", { file: address });
    for (const entry of answer.json) {
      const file = readEntry(entry);
      if (file) files.push(file);
    }
    if (page >= MAX_PAGES || files.length > MAX_FILES)
      throw new DownloadError("The hub's list of files does not end", { file: address });
    address = answer.next;
  }
  return files;
}

/** Where the bytes of a file are. */
export function fileAddress(
  settings: HubSettings,
  kind: RepositoryKind,
  repository: string,
  commit: string,
  path: string,
): string {
  const prefix = kind === "models" ? "" : `${kind}/`;
  return `${settings.endpoint}/${prefix}${repository}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** An entry of a listing; undefined for folders, and for what could not be a file of ours. */
function readEntry(entry: unknown): RepositoryFile | undefined {
  const { type, path, size, oid, lfs } = Object(entry) as Record<string, unknown>;
  if ((type !== undefined && type !== "file") || typeof path !== "string" || !safePath(path)) return undefined;
  const large = Object(lfs) as Record<string, unknown>;
  const sha256 = typeof large.oid === "string" ? large.oid.replace(/^sha256:/, "") : large.sha256;
  const name = sha256 ?? oid;
  const bytes = sha256 === undefined ? size : (large.size ?? size);
  const form = sha256 === undefined ? /^[0-9a-f]{40}$/ : /^[0-9a-f]{64}$/;
  if (typeof name !== "string" || !form.test(name)) return undefined;
  if (!Number.isSafeInteger(bytes) || (bytes as number) < 0) return undefined;
  return { path, size: bytes as number, oid: name };
}

async function askJson(
  settings: HubSettings,
  address: string,
  signal: AbortSignal | undefined,
): Promise<{ json: unknown; next: string | undefined }> {
  if (settings.offline) throw new SourceError("The hub cannot be asked while offline", { file: address });
  const headers = { Accept: "application/json" };
  return askPatiently(settings, address, { signal, headers }, async (answer) => {
    const text = await answer.text(MAX_PAGE_BYTES);
    const link = /<([^>]+)>\s*;\s*rel="?next"?/.exec(answer.headers.get("link") ?? "")?.[1];
    try {
      return { json: JSON.parse(text), next: link && new URL(link, address).href };
    } catch (cause) {
      throw new DownloadError("The hub's answer is not what it should be", { file: address }, "Is HF_ENDPOINT right?", {
        cause,
      });
    }
  });
}
