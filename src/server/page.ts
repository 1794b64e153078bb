import { readFile } from "node:fs/promises";

const types: Record<string, string> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
  txt: "text/plain; charset=utf-8",
  webmanifest: "application/manifest+json",
  gguf: "application/octet-stream",
};

/**
 * What the page may do: run its own scripts and the engine, call the server it came from, fetch models; nothing else. An
 * answer cannot load anything from anywhere, whatever a model writes into it.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self' https:",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const headers = {
  "Content-Security-Policy": policy,
  // Without these two there is no shared memory, and so no threads, for a model in the page.
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "no-cache",
};

/** Folders of the package that hold the page's files, seen from this module or from the bundle it is in. */
const folders = ["./page/", "../page/", "../../page/"];
const besides: Record<string, string[]> = {
  "engine/deltallm.js": ["./browser/", "../browser/"].map((folder) => `${folder}deltallm.js`),
  "engine/deltallm-engine.js": ["./browser/", "../browser/"].map((folder) => `${folder}deltallm-engine.js`),
  "engine/engine-text.js": ["./browser/", "../browser/"].map((folder) => `${folder}engine-text.js`),
  "engine/story.gguf": ["../weights/", "../../weights/"].map((folder) => `${folder}story.gguf`),
};

/** Answers the paths of the chat page; undefined for others, and where the package was built without it. */
export async function chatPage(path: string): Promise<Response | undefined> {
  const name = path === "/" ? "index.html" : path.slice(1);
  // A flat folder: nothing that climbs out of it can be named.
  if (!/^(?:engine\/)?[\w-]+\.[a-z]+$/.test(name)) return undefined;
  const body = await firstOf(besides[name] ?? folders.map((folder) => folder + name));
  if (!body && name === "index.html")
    return new Response("The chat page was not built: npm run build:page. The API is there.\n", {
      headers: { ...headers, "Content-Type": types.txt as string },
    });
  if (!body) return undefined;
  const type = types[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream";
  return new Response(body, { headers: { ...headers, "Content-Type": type } });
}

async function firstOf(places: readonly string[]): Promise<Uint8Array<ArrayBuffer> | undefined> {
  for (const place of places) {
    try {
      return await readFile(new URL(place, import.meta.url));
    } catch {
      // Not there: the next place.
    }
  }
  return undefined;
}
