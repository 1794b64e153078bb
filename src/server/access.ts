import { ApiError } from "./errors.js";
import type { HandlerOptions } from "./options.js";

/**
 * Lets a request pass or throws: the name it was sent to (DNS rebinding), the page it comes from (cross-site requests),
 * its API key. Returns whose request it is, for limits per key.
 * @param open whether everybody may ask
 * @param client address of who asks, as far as it is known
 */
export type CheckAccess = (request: Request, url: URL, open: boolean, client: string) => string;

export function createAccess({ apiKeys = [], allowedHosts = [], allowedOrigins = [] }: HandlerOptions): CheckAccess {
  const keys = apiKeys.map((key) => new TextEncoder().encode(key));
  const hosts = new Set(allowedHosts.map((host) => host.toLowerCase()));
  return (request, url, open, client) => {
    const host = hostName(request.headers.get("host") ?? url.host);
    if (keys.length === 0 && !isLocalName(host) && !hosts.has(host))
      throw new ApiError(
        403,
        `This server is not known as ${JSON.stringify(host)}; start it with --allowed-host NAME`,
        {
          code: "host_not_allowed",
        },
      );
    const origin = request.headers.get("origin");
    if (origin !== null && !originAllowed(origin, request.headers.get("host") ?? url.host, allowedOrigins))
      throw new ApiError(
        403,
        `Pages of ${JSON.stringify(origin)} may not call this server; start it with --cors ORIGIN`,
        {
          code: "origin_not_allowed",
        },
      );
    if (keys.length === 0) return client;
    const given = /^Bearer +(.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1]?.trim();
    const found = given === undefined ? -1 : indexOfKey(keys, new TextEncoder().encode(given));
    if (found < 0 && !open)
      throw new ApiError(
        401,
        given === undefined ? "There is no API key: send Authorization: Bearer KEY" : "The API key is not right",
        { type: "authentication_error", code: "invalid_api_key" },
      );
    return `key ${found}`;
  };
}

/** Headers that let pages of an allowed origin read the answer. */
export function corsHeaders(request: Request, allowed: readonly string[] = []): Record<string, string> {
  const origin = request.headers.get("origin");
  if (origin === null || !(allowed.includes("*") || allowed.includes(origin))) return {};
  return {
    "Access-Control-Allow-Origin": allowed.includes("*") ? "*" : origin,
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Last-Event-ID, X-Affinity",
    "Access-Control-Max-Age": "600",
    Vary: "Origin",
  };
}

/** Every key is compared to its end, so that the time taken says nothing about them. */
function indexOfKey(keys: readonly Uint8Array[], given: Uint8Array): number {
  let found = -1;
  keys.forEach((key, index) => {
    let different = key.length ^ given.length;
    for (let i = 0; i < key.length; i++) different |= (key[i] as number) ^ (given[i % Math.max(given.length, 1)] ?? 0);
    if (different === 0) found = index;
  });
  return found;
}

function originAllowed(origin: string, host: string, allowed: readonly string[]): boolean {
  if (allowed.includes("*") || allowed.includes(origin)) return true;
  try {
    return new URL(origin).host === host;
  } catch {
    return false;
  }
}

function hostName(host: string): string {
  return host.replace(/:\d+$/, "").toLowerCase();
}

/** `localhost` and IP addresses cannot be pointed elsewhere by a name server. */
function isLocalName(host: string): boolean {
  return (
    host === "localhost" ||
    host.endsWith(".localhost") ||
    /^\d+\.\d+\.\d+\.\d+$/.test(host) ||
    /^\[[\da-f:.]+\]$/.test(host)
  );
}
