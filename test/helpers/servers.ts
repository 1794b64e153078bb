import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void;

const servers: Server[] = [];

/** Starts a server and returns its address; `count` is the number of requests before this one. */
export async function serve(handler: Handler): Promise<string> {
  let count = 0;
  const server = createServer((request, response) => handler(request, response, count++));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** Ends all of them. */
export function closeServers(): void {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
}

/** First and last byte asked for, cut to the file as servers do. */
function rangeOf(request: IncomingMessage, size: number): [number, number] {
  const [first, last] = (request.headers.range ?? "").replace("bytes=", "").split("-").map(Number) as [number, number];
  return [first, Math.min(last, size - 1)];
}

/** A server as it should be; `edit` may change the headers or the body of an answer. */
export function ranged(
  bytes: Uint8Array,
  edit: (headers: Record<string, string>, body: Uint8Array, count: number) => Uint8Array = (_, body) => body,
): Handler {
  return (request, response, count) => {
    const [first, last] = rangeOf(request, bytes.length);
    if (first >= bytes.length) {
      response.writeHead(416, { "Content-Range": `bytes */${bytes.length}` }).end();
      return;
    }
    const headers: Record<string, string> = { "Content-Range": `bytes ${first}-${last}/${bytes.length}` };
    const body = edit(headers, bytes.subarray(first, last + 1), count);
    response.writeHead(206, headers).end(body);
  };
}

/** A server without ranges. */
export function whole(bytes: Uint8Array): Handler {
  return (_, response) => {
    response.writeHead(200, { "Content-Length": bytes.length }).end(bytes);
  };
}
