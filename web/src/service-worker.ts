// Keeps the page itself, so that it works without a network. Models and conversations are kept elsewhere.
/** Files of this build, and a hash over them; written by scripts/build-page.mjs. */
declare const FILES: readonly string[];
declare const VERSION: string;

interface WorkerEvent extends Event {
  request: Request;
  waitUntil(work: Promise<unknown>): void;
  respondWith(response: Promise<Response>): void;
}
interface WorkerScope {
  registration: { scope: string };
  skipWaiting(): Promise<void>;
  clients: { claim(): Promise<void> };
  addEventListener(type: string, listener: (event: WorkerEvent) => void): void;
}

const worker = globalThis as unknown as WorkerScope;
const CACHE = `deltallm-page-${VERSION}`;

worker.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(FILES.map((file) => new Request(file, { cache: "no-cache" }))))
      .then(() => worker.skipWaiting()),
  );
});

worker.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) =>
        Promise.all(
          names
            .filter((name) => name.startsWith("deltallm-page-") && name !== CACHE)
            .map((name) => caches.delete(name)),
        ),
      )
      .then(() => worker.clients.claim()),
  );
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  const scope = new URL(worker.registration.scope);
  if (request.method !== "GET" || url.origin !== scope.origin || !url.pathname.startsWith(scope.pathname)) return;
  const path = url.pathname.slice(scope.pathname.length) || "./";
  if (!FILES.includes(path)) return;
  // The server first, so that a new version is seen at once; what was kept when it does not answer.
  event.respondWith(
    fetch(request)
      .then((response) => {
        if (response.ok) return response;
        throw new Error(String(response.status));
      })
      .catch(async (error) => {
        const kept = await caches.match(path, { cacheName: CACHE });
        if (kept) return kept;
        throw error;
      }),
  );
});
