import { OptionError } from "../errors.js";
import { nodeModules } from "../platform/node-modules.js";
import { platform } from "../platform/platform.js";

/** How the hub and the cache are reached. Everything has a default; on Node, Deno and Bun from the environment. */
export interface HubOptions {
  /** Address of the hub. Default: `HF_ENDPOINT`, else `https://huggingface.co`. */
  endpoint?: string | undefined;
  /** Access token, sent to the endpoint's own origin only. Default: `HF_TOKEN`, else the file of `hf auth login`. */
  token?: string | undefined;
  /** Make no request: use what the cache has. Default: `HF_HUB_OFFLINE`. */
  offline?: boolean | undefined;
  /**
   * Folder of the cache, shared with other programs that use the hub. Default: `HF_HUB_CACHE`, else `hub` below
   * `HF_HOME`, else below `XDG_CACHE_HOME` or `~/.cache`. Not used in browsers, which keep models in their own storage.
   */
  cacheFolder?: string | undefined;
  /** Keep what a URL gives in the cache, so that it is downloaded once. Default true. */
  cacheUrls?: boolean | undefined;
}

/** The options, filled in. */
export interface HubSettings {
  endpoint: string;
  token: string | undefined;
  offline: boolean;
  /** Undefined in browsers. */
  cacheFolder: string | undefined;
  /** Milliseconds without a byte after which a connection counts as broken. */
  idleMs: number;
  /** Milliseconds before the second try; doubles each time. */
  retryMs: number;
  /** Milliseconds after which a slow connection gets others beside it. */
  slowMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Fills what the options leave open, from the environment where there is one. Creates nothing. */
export async function hubSettings(options: HubOptions = {}, environment?: Environment): Promise<HubSettings> {
  const env = environment ?? (platform === "browser" ? {} : (globalThis.process?.env ?? {}));
  const endpoint = (options.endpoint ?? (env.HF_ENDPOINT || "https://huggingface.co")).replace(/\/+$/, "");
  if (!/^https?:\/\/[^\s/]/.test(endpoint) || !URL.canParse(endpoint))
    throw new OptionError(`The hub's address is ${JSON.stringify(endpoint)}`, { key: "HF_ENDPOINT" }, "Give a URL");
  const seconds = Number(env.HF_HUB_DOWNLOAD_TIMEOUT);
  const { cacheFolder, home } = platform === "browser" ? {} : await folders(options, env);
  return {
    endpoint,
    token: checkedToken(options.token ?? (await findToken(env, home))),
    offline: options.offline ?? truth(env.HF_HUB_OFFLINE),
    cacheFolder,
    idleMs: Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 30_000,
    retryMs: 500,
    slowMs: 3000,
  };
}

async function folders(options: HubOptions, env: Environment): Promise<{ cacheFolder: string; home: string }> {
  const { homedir } = await nodeModules.os();
  const tilde = (path: string) => (/^~(?=$|[/\\])/.test(path) ? homedir() + path.slice(1) : path);
  const home = tilde(env.HF_HOME || `${env.XDG_CACHE_HOME || `${homedir()}/.cache`}/huggingface`);
  const cacheFolder = tilde(
    options.cacheFolder ?? (env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || `${home.replace(/[/\\]+$/, "")}/hub`),
  );
  return { cacheFolder, home };
}

async function findToken(env: Environment, home: string | undefined): Promise<string | undefined> {
  if (env.HF_TOKEN) return env.HF_TOKEN;
  if (env.HUGGING_FACE_HUB_TOKEN) return env.HUGGING_FACE_HUB_TOKEN;
  if (home === undefined || truth(env.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined;
  const { readFile } = await nodeModules.fs();
  return readFile(env.HF_TOKEN_PATH || `${home}/token`, "utf8").catch(() => undefined);
}

/** The message must not show the token. */
function checkedToken(token: string | undefined): string | undefined {
  const trimmed = token?.trim();
  if (!trimmed) return undefined;
  if (!/^[\x21-\x7e]+$/.test(trimmed))
    throw new OptionError("The access token has characters that no token has", { key: "HF_TOKEN" }, "Copy it again");
  return trimmed;
}

function truth(value: string | undefined): boolean {
  return /^(?:1|on|yes|true)$/i.test(value ?? "");
}
