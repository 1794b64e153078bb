// Serves static files with the headers a page needs for threads. `npm run web` serves the chat page.
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".webmanifest": "application/manifest+json",
  ".wasm": "application/wasm",
};

/** Without these two a page has no shared memory, and so no threads. */
export const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/**
 * Starts a server on this machine only.
 * @param mounts path prefix → folder; the longest prefix that fits counts
 * @param headers sent with everything, or a function of the path
 * @param port 0: any free one
 */
export function serve(mounts, { headers = isolation, port = 0 } = {}) {
  const prefixes = Object.keys(mounts).sort((a, b) => b.length - a.length);
  const server = createServer((request, response) => {
    const path = pathOf(request.url);
    if (path === undefined) {
      response.writeHead(400).end("bad request");
      return;
    }
    const prefix = prefixes.find((each) => path.startsWith(each));
    const folder = prefix === undefined ? undefined : resolve(mounts[prefix]);
    const file = folder && normalize(join(folder, path.slice(prefix.length), path.endsWith("/") ? "index.html" : ""));
    const found = file?.startsWith(folder + sep) ? statSync(file, { throwIfNoEntry: false }) : undefined;
    const common = { ...(typeof headers === "function" ? headers(path) : headers), "Cache-Control": "no-cache" };
    if (!found?.isFile()) {
      response.writeHead(404, common).end("not found");
      return;
    }
    const type = types[extname(file)] ?? "application/octet-stream";
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    const start = range ? Number(range[1]) : 0;
    const end = range?.[2] ? Math.min(Number(range[2]), found.size - 1) : found.size - 1;
    if (range && start > end) {
      response.writeHead(416, { ...common, "Content-Range": `bytes */${found.size}` }).end();
      return;
    }
    response.writeHead(range ? 206 : 200, {
      ...common,
      "Content-Type": type,
      "Accept-Ranges": "bytes",
      "Content-Length": end - start + 1,
      ...(range ? { "Content-Range": `bytes ${start}-${end}/${found.size}` } : {}),
    });
    if (request.method === "HEAD" || found.size === 0) response.end();
    else
      createReadStream(file, { start, end })
        .on("error", () => response.destroy())
        .pipe(response);
  });
  return new Promise((done, fail) => {
    server.on("error", fail);
    server.listen(port, "127.0.0.1", () => done({ server, url: `http://localhost:${server.address().port}` }));
  });
}

/**
 * Serves the chat page alone, as `deltallm serve` does beside its API.
 * @param base folder with `dist` and `weights`: the repository, or the installed package
 */
export async function servePage(base, port = 0) {
  const { chatPage } = await import(pathToFileURL(join(base, "dist/server/page.js")).href);
  const server = createServer(async (request, response) => {
    const page = await chatPage(pathOf(request.url) ?? "");
    response.writeHead(page?.status ?? 404, Object.fromEntries(page?.headers ?? []));
    response.end(page ? Buffer.from(await page.arrayBuffer()) : "not found");
  });
  await new Promise((done, fail) => {
    server.on("error", fail);
    server.listen(port, "127.0.0.1", done);
  });
  return { server, url: `http://localhost:${server.address().port}` };
}

function pathOf(url) {
  try {
    const path = decodeURIComponent(new URL(url, "http://localhost").pathname);
    return path.includes("\0") ? undefined : path;
  } catch {
    return undefined;
  }
}

/** Ends the process with one line. */
function stop(line, code) {
  (code ? console.error : console.log)(line);
  process.exit(code);
}

function readPort() {
  try {
    const { values } = parseArgs({ options: { port: { type: "string" }, help: { type: "boolean", short: "h" } } });
    if (values.help)
      stop("Usage: npm run web -- [--port N]\n\n  --port N  default: $PORT, or 8080; 0: any free one", 0);
    const port = values.port ?? (process.env.PORT || "8080");
    if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) stop(`${port} is no port: give 0 to 65535`, 2);
    return Number(port);
  } catch (error) {
    return stop(`${error.message.split(". ")[0]}. --help shows what there is`, 2);
  }
}

/** Says so before anything is built where the port cannot be had. */
async function tryPort(port) {
  const probe = createServer();
  try {
    await new Promise((done, fail) => probe.once("error", fail).listen(port, "127.0.0.1", done));
    await new Promise((done) => probe.close(done));
  } catch (error) {
    const why = { EADDRINUSE: "is in use", EACCES: "may not be used by this user" }[error.code];
    if (!why) throw error;
    stop(`Port ${port} ${why}: give another one, npm run web -- --port ${port < 65_000 ? port + 1 : 8081}`, 3);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const port = readPort();
  await tryPort(port);
  const { buildBrowser } = await import("./build-browser.mjs");
  const { buildPage } = await import("./build-page.mjs");
  await buildBrowser();
  await buildPage({ check: true });
  const { url } = await servePage(resolve(fileURLToPath(import.meta.url), "../.."), port);
  console.log(`The chat page is at ${url}/`);
}
