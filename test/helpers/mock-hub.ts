import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as it came. */
export interface SeenRequest {
  method: string;
  path: string;
  range: string | undefined;
  ifRange: string | undefined;
  authorization: string | undefined;
  /** Which server: the hub, or the one it redirects to. */
  at: "hub" | "cdn";
}

/** What may go wrong with a request; called for every request of a file, counted per path. */
export type Fault = (context: {
  request: IncomingMessage;
  response: ServerResponse;
  path: string;
  /** Number of this request of the file, from 0. */
  count: number;
  /** Sends the file as it should be, with other bytes, another ETag or an end before its time. */
  send(options?: SendOptions): void;
}) => boolean | undefined;

export interface SendOptions {
  bytes?: Uint8Array | undefined;
  etag?: string | undefined;
  /** Ends the connection after so many bytes of the body. */
  cutAfter?: number | undefined;
  /** Answers as if Range did not exist. */
  noRange?: boolean | undefined;
  /** Bytes at a time, with a pause between. */
  drip?: { bytes: number; ms: number } | undefined;
}

/** A hub on this machine, by real HTTP: the calls that clients make to list and to download. */
export class MockHub {
  readonly seen: SeenRequest[] = [];
  /** Answers 401 without this token. */
  token: string | undefined;
  /** Sends the bytes of large files from another origin. */
  redirect = false;
  fault: Fault | undefined;
  /** Answers of the API; status instead of JSON. */
  apiFault: ((path: string, count: number, response: ServerResponse) => boolean | undefined) | undefined;
  readonly #repositories = new Map<string, Map<string, Map<string, Uint8Array>>>();
  readonly #refs = new Map<string, Map<string, string>>();
  readonly #counts = new Map<string, number>();
  readonly #servers: Server[] = [];
  endpoint = "";
  cdn = "";

  static async start(): Promise<MockHub> {
    const hub = new MockHub();
    hub.endpoint = await hub.#listen("hub");
    hub.cdn = await hub.#listen("cdn");
    return hub;
  }

  /** A new commit of a repository, on `main`. Returns the commit. */
  commit(repository: string, files: Record<string, Uint8Array | string>, branch = "main"): string {
    const content = new Map(
      Object.entries(files).map(([path, bytes]) => [
        path,
        typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes,
      ]),
    );
    const commits = this.#repositories.get(repository) ?? new Map();
    const hash = createHash("sha1").update(`${repository} ${commits.size}`);
    for (const [path, bytes] of content) hash.update(path).update(bytes);
    const sha = hash.digest("hex");
    commits.set(sha, content);
    this.#repositories.set(repository, commits);
    const refs = this.#refs.get(repository) ?? new Map();
    refs.set(branch, sha);
    this.#refs.set(repository, refs);
    return sha;
  }

  /** Requests of files, without those of the API. */
  get fileRequests(): SeenRequest[] {
    return this.seen.filter(({ path }) => path.includes("/resolve/") || path.startsWith("/blob/"));
  }

  async close(): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    }
  }

  async #listen(at: "hub" | "cdn"): Promise<string> {
    const server = createServer((request, response) => {
      response.on("error", () => {});
      // Pages of other origins may ask, as they may ask the real one.
      response.setHeader("Access-Control-Allow-Origin", "*");
      response.setHeader("Access-Control-Allow-Headers", "authorization, range, if-range");
      response.setHeader("Access-Control-Expose-Headers", "ETag, Link, Content-Range, Accept-Ranges, X-Error-Code");
      response.setHeader("Cross-Origin-Resource-Policy", "cross-origin");
      if (request.method === "OPTIONS") return void response.writeHead(204).end();
      const path = decodeURIComponent((request.url ?? "").split("?")[0] as string);
      const { range, authorization } = request.headers;
      const ifRange = request.headers["if-range"];
      const method = request.method as string;
      this.seen.push({ method, path, range, authorization, ifRange: ifRange as string | undefined, at });
      if (at === "hub" && this.token !== undefined && authorization !== `Bearer ${this.token}`)
        response.writeHead(401, { "X-Error-Code": "RepoNotFound" }).end("Invalid username or password.");
      else if (at === "hub") this.#hub(path, request, response);
      else this.#cdn(path, request, response);
    });
    this.#servers.push(server);
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #hub(path: string, request: IncomingMessage, response: ServerResponse): void {
    const missing = (code: string) => response.writeHead(404, { "X-Error-Code": code }).end("not found");
    const api = /^\/api\/(models|datasets)\/([^/]+\/[^/]+)\/(revision|tree)\/(.+)$/.exec(path);
    const prefix = api?.[1] === "datasets" ? "datasets/" : "";
    if (api && this.apiFault?.(path, this.#count(path), response)) return;
    if (api) {
      const repository = prefix + api[2];
      const commits = this.#repositories.get(repository);
      if (!commits) return void missing("RepoNotFound");
      const sha = this.#resolve(repository, api[4] as string);
      const files = sha && commits.get(sha);
      if (!files) return void missing("RevisionNotFound");
      response.setHeader("Content-Type", "application/json");
      if (api[3] === "revision")
        return void response.end(
          JSON.stringify({ id: repository, sha, siblings: [...files.keys()].map((rfilename) => ({ rfilename })) }),
        );
      const entries = [...files].map(([name, bytes]) => entryOf(name, bytes));
      const page = Number(new URL(request.url ?? "", this.endpoint).searchParams.get("page") ?? 0);
      const size = 3;
      if (entries.length > (page + 1) * size)
        response.setHeader("Link", `<${this.endpoint}${path}?recursive=true&page=${page + 1}>; rel="next"`);
      return void response.end(JSON.stringify(entries.slice(page * size, (page + 1) * size)));
    }
    const file = /^\/((?:datasets\/)?[^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path);
    const repository = file?.[1] as string;
    const commits = this.#repositories.get(repository);
    if (!file || !commits) return void missing("RepoNotFound");
    const sha = this.#resolve(repository, file[2] as string) as string;
    const bytes = commits.get(sha)?.get(file[3] as string);
    if (!bytes) return void missing("EntryNotFound");
    const oid = oidOf(bytes);
    response.setHeader("X-Repo-Commit", sha);
    if (this.redirect && isLarge(bytes)) {
      response.writeHead(302, {
        Location: `${this.cdn}/blob/${repository}/${sha}/${file[3]}`,
        "X-Linked-Etag": `"${oid}"`,
        "X-Linked-Size": bytes.length,
      });
      return void response.end();
    }
    this.#file(path, bytes, request, response);
  }

  #cdn(path: string, request: IncomingMessage, response: ServerResponse): void {
    const [, , owner, name, sha, ...file] = path.split("/");
    const bytes = this.#repositories
      .get(`${owner}/${name}`)
      ?.get(sha as string)
      ?.get(file.join("/"));
    if (bytes) this.#file(path, bytes, request, response);
    else response.writeHead(404).end();
  }

  #file(path: string, bytes: Uint8Array, request: IncomingMessage, response: ServerResponse): void {
    const send = (options: SendOptions = {}) => sendFile(request, response, bytes, options);
    const count = this.#count(path);
    if (!this.fault?.({ request, response, path, count, send })) send();
  }

  #count(path: string): number {
    const count = this.#counts.get(path) ?? 0;
    this.#counts.set(path, count + 1);
    return count;
  }

  #resolve(repository: string, revision: string): string | undefined {
    return this.#refs.get(repository)?.get(revision) ?? revision;
  }
}

/** Files from this size are kept apart by git (LFS), and named by their SHA-256. */
const LARGE = 10_000;

function isLarge(bytes: Uint8Array): boolean {
  return bytes.length >= LARGE;
}

/** The name of a file's content on the hub. */
export function oidOf(bytes: Uint8Array): string {
  if (isLarge(bytes)) return createHash("sha256").update(bytes).digest("hex");
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

function entryOf(path: string, bytes: Uint8Array): object {
  const size = bytes.length;
  if (!isLarge(bytes)) return { type: "file", path, size, oid: oidOf(bytes) };
  const pointer = createHash("sha1").update(path).digest("hex");
  return { type: "file", path, size, oid: pointer, lfs: { oid: oidOf(bytes), size, pointerSize: 130 } };
}

/** Sends a file as HTTP servers do, with Range and If-Range. */
export function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  content: Uint8Array,
  { bytes = content, etag = `"${oidOf(content)}"`, cutAfter, noRange, drip }: SendOptions = {},
): void {
  const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const ifRange = request.headers["if-range"];
  const ranged = match && !noRange && (ifRange === undefined || ifRange === etag);
  const start = ranged ? Number(match[1]) : 0;
  const end = ranged && match[2] ? Math.min(Number(match[2]), bytes.length - 1) : bytes.length - 1;
  if (ranged && start >= bytes.length) {
    response.writeHead(416, { "Content-Range": `bytes */${bytes.length}` }).end();
    return;
  }
  const body = bytes.subarray(start, end + 1);
  response.writeHead(ranged ? 206 : 200, {
    ETag: etag,
    "Content-Length": body.length,
    ...(noRange ? {} : { "Accept-Ranges": "bytes" }),
    ...(ranged ? { "Content-Range": `bytes ${start}-${end}/${bytes.length}` } : {}),
  });
  if (request.method === "HEAD") return void response.end();
  if (cutAfter !== undefined && cutAfter < body.length) {
    response.write(body.subarray(0, cutAfter), () => setTimeout(() => request.socket.destroy(), 5));
    return;
  }
  if (!drip) return void response.end(body);
  let at = 0;
  const timer = setInterval(() => {
    if (response.destroyed) return clearInterval(timer);
    response.write(body.subarray(at, at + drip.bytes));
    at += drip.bytes;
    if (at >= body.length) {
      clearInterval(timer);
      response.end();
    }
  }, drip.ms);
}
