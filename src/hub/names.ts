import { OptionError } from "../errors.js";
import { shortNames } from "./catalogue.js";
import { safePath } from "./paths.js";

/** A model in a repository of the Hugging Face hub. */
export interface HubName {
  kind: "hub";
  /** `owner/repository`. */
  repository: string;
  /** Branch, tag or commit. */
  revision: string;
  /** Whether the name says the revision itself. */
  pinned: boolean;
  /** Quantisation, as in file names: `Q4_K_M`. */
  quant?: string | undefined;
  /** Path of a file, or of a folder, in the repository. */
  file?: string | undefined;
  /** What the user wrote. */
  text: string;
}

/** A file behind an address that is not the hub's. */
export interface UrlName {
  kind: "url";
  url: string;
  text: string;
}

export type ModelName = HubName | UrlName;

const HUB_HOSTS = /^(?:https?:\/\/)?(?:www\.)?(?:hf\.co|huggingface\.co)\//i;
const PREFIX = /^(?:hf|huggingface):(?:\/\/)?/i;
/** As the hub itself has it: letters, digits, `-`, `_`, `.`, no `--` and no `..`. */
const PART = /^(?!.*(?:--|\.\.))[A-Za-z0-9_][\w.-]{0,95}$/;

/**
 * Reads `hf:owner/repo[:quant|/file][@revision]`, `owner/repo:quant`, `hf.co/…`, addresses of the hub's pages and files,
 * other URLs, and short names of the catalogue. Undefined: this is not a name but a path.
 * @param endpoint address of the hub; its pages are names as well
 * @throws OptionError for a name of the hub that is not complete
 */
export function parseName(text: string, endpoint = "https://huggingface.co"): ModelName | undefined {
  if (PREFIX.test(text)) return parseHub(text.replace(PREFIX, "").replace(HUB_HOSTS, ""), text);
  const ownPage = text.startsWith(`${endpoint}/`) ? text.slice(endpoint.length + 1) : undefined;
  if (ownPage !== undefined || HUB_HOSTS.test(text)) {
    const rest = (ownPage ?? text.replace(HUB_HOSTS, "")).replace(/[?#].*$/, "");
    const page = parsePage(rest, text);
    if (page) return page;
    // An address below the hub's that is none of a repository's pages: a file like any other.
    return /^https?:/i.test(text) ? { kind: "url", url: text, text } : parseHub(rest, text);
  }
  if (/^https?:\/\//i.test(text)) return { kind: "url", url: text, text };
  return parseShort(text) ?? parseBare(text);
}

/** `owner/repo:quant`, `owner/repo@revision` and `owner/repo`; everything else may be a path. */
function parseBare(text: string): HubName | undefined {
  const match = /^([^/\\:@]+)\/([^/\\:@]+)(?::([\w.-]+))?(?:@([^\s\\]+))?$/.exec(text);
  if (!match) return undefined;
  const [, owner, repo] = match as unknown as [string, string, string];
  if (!PART.test(owner) || !PART.test(repo) || owner === "." || /\.(?:gguf|safetensors|json)$/i.test(repo))
    return undefined;
  return parseHub(text, text);
}

function parseShort(text: string): HubName | undefined {
  const match = /^([\w.-]+?)(?::([\w.-]+))?(?:@([^\s\\]+))?$/.exec(text);
  const found = match?.[1] === undefined ? undefined : shortNames.get(match[1].toLowerCase());
  if (!match || !found) return undefined;
  return {
    kind: "hub",
    repository: found.repository,
    revision: match[3] ?? "main",
    pinned: match[3] !== undefined,
    quant: match[2] ?? found.quant,
    text,
  };
}

function parseHub(rest: string, text: string): HubName {
  const at = rest.lastIndexOf("@");
  const revision = at < 0 ? undefined : rest.slice(at + 1);
  const place = at < 0 ? rest : rest.slice(0, at);
  const match = /^([^/:]*)\/([^/:]*)(?::([^/:]*)|\/(.*))?$/.exec(place);
  const wrong = (what: string) =>
    new OptionError(`${JSON.stringify(text)} ${what}`, {}, "Write hf:owner/repository[:quant or /file][@revision]");
  if (!match) throw wrong("does not name a repository of the hub");
  const [, owner, repo, quant, file] = match as unknown as [string, string, string, string?, string?];
  if (!PART.test(owner) || !PART.test(repo)) throw wrong("does not name a repository of the hub");
  if (quant !== undefined && !/^[\w.-]+$/.test(quant)) throw wrong("names no quantisation after the colon");
  const path = file?.replace(/\/+$/, "");
  if (path && !safePath(path)) throw wrong("names no file of a repository");
  if (revision !== undefined && !safeRevision(revision)) throw wrong("names no revision after the @");
  return {
    kind: "hub",
    repository: `${owner}/${repo}`,
    revision: revision ?? "main",
    pinned: revision !== undefined,
    quant,
    file: path || undefined,
    text,
  };
}

/** Pages of a repository: `owner/repo`, and `/tree/…`, `/blob/…`, `/resolve/…` below it. */
function parsePage(rest: string, text: string): HubName | undefined {
  const match = /^([^/:]+)\/([^/:@]+)(?:\/(tree|blob|resolve)\/([^/]+)(?:\/(.*))?)?\/?$/.exec(rest);
  if (!match) return undefined;
  const [, owner, repo, , revision, file] = match as unknown as [string, string, string, string?, string?, string?];
  if (!PART.test(owner) || !PART.test(repo)) return undefined;
  const decode = (part: string) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  };
  return parseHub(
    `${owner}/${repo}${file ? `/${decode(file)}` : ""}${revision && revision !== "main" ? `@${decode(revision)}` : ""}`,
    text,
  );
}

/** What a revision may look like: it becomes part of an address and of a path. */
export function safeRevision(revision: string): boolean {
  return /^[\w.+-]+(?:\/[\w.+-]+)*$/.test(revision) && safePath(revision);
}

/** The name of a model as the user can give it again. */
export function showName(name: ModelName): string {
  if (name.kind === "url") return name.url;
  const { repository, quant, file, revision } = name;
  return `hf:${repository}${quant ? `:${quant}` : file ? `/${file}` : ""}${revision === "main" ? "" : `@${revision}`}`;
}
