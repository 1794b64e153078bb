import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import type { Handler } from "./handler.js";

/** Most bytes of a request's headers. */
const MAX_HEADER_BYTES = 16 << 10;
/** Milliseconds in which a request's headers, and all of it, must have come. */
const HEADERS_TIMEOUT = 10_000;
const REQUEST_TIMEOUT = 60_000;
/** Milliseconds a connection may stay open without a request. */
const KEEP_ALIVE = 5_000;

/** Serves a fetch handler with `node:http`. */
export function nodeServer(handle: Handler): Server {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT,
      requestTimeout: REQUEST_TIMEOUT,
      connectionsCheckingInterval: 2_000,
      keepAliveTimeout: KEEP_ALIVE,
    },
    (incoming, outgoing) => void serve(handle, incoming, outgoing),
  );
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable) return socket.destroy();
    const status =
      error.code === "HPE_HEADER_OVERFLOW"
        ? "431 Request Header Fields Too Large"
        : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
          ? "408 Request Timeout"
          : "400 Bad Request";
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  });
  return server;
}

async function serve(handle: Handler, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const gone = new AbortController();
  outgoing.on("close", () => {
    if (!outgoing.writableFinished) gone.abort();
  });
  // A connection that breaks while it is written to is told by "close" as well.
  outgoing.on("error", () => undefined);
  try {
    const response = await handle(toRequest(incoming, gone.signal), incoming.socket.remoteAddress);
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    if (incoming.method === "HEAD" || !response.body) outgoing.end();
    else await pipe(response.body, outgoing);
  } catch {
    if (!outgoing.headersSent) outgoing.writeHead(400).end();
    else outgoing.destroy();
  } finally {
    // What was not read of a refused body would be taken for the next request.
    if (!incoming.complete) {
      outgoing.once("finish", () => incoming.destroy());
      incoming.resume();
    }
  }
}

function toRequest(incoming: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headersDistinct))
    for (const each of value ?? []) headers.append(name, each);
  const { method = "GET" } = incoming;
  // A name that is no host would make every address invalid; the handler looks at the header itself.
  const base = `http://${/^[\w.:[\]-]+$/.test(incoming.headers.host ?? "") ? incoming.headers.host : "localhost"}`;
  // Proxies may send the whole address.
  const path = (incoming.url ?? "/").replace(/^https?:\/\/[^/?]*(?=[/?]|$)/i, "");
  const hasBody = method !== "GET" && method !== "HEAD";
  return new Request(new URL(base + (path.startsWith("/") ? path : `/${path}`)), {
    method,
    headers,
    signal,
    ...(hasBody ? { body: Readable.toWeb(incoming) as unknown as ReadableStream<Uint8Array>, duplex: "half" } : {}),
  } as RequestInit);
}

/** Writes as fast as the client reads: nothing is asked of the source while the socket is full. */
async function pipe(body: ReadableStream<Uint8Array>, outgoing: ServerResponse): Promise<void> {
  const reader = (body as unknown as NodeReadableStream<Uint8Array>).getReader();
  const closed = new Promise<"closed">((resolve) => outgoing.once("close", () => resolve("closed")));
  try {
    for (;;) {
      const next = await Promise.race([reader.read(), closed]);
      if (next === "closed" || next.done) break;
      if (!outgoing.write(next.value)) {
        const drained = new Promise<"drained">((resolve) => outgoing.once("drain", () => resolve("drained")));
        if ((await Promise.race([drained, closed])) === "closed") break;
      }
    }
    outgoing.end();
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
