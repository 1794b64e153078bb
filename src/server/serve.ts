import { OptionError } from "../errors.js";
import { createHandler, type Handler } from "./handler.js";
import type { HandlerOptions } from "./options.js";

/** Milliseconds in which clients may read the ends of their answers when the server closes. */
const LAST_BYTES = 5_000;

/** Options of `serve`. */
export interface ServeOptions extends HandlerOptions {
  /** Address to listen on. Default 127.0.0.1: this machine alone. */
  host?: string | undefined;
  /** Port; 0 takes a free one. Default 8080. */
  port?: number | undefined;
  /** Listen on an address other machines can reach without any API key. Default false. */
  noAuth?: boolean | undefined;
}

/** A server with a socket. */
export interface RunningServer {
  /** `http://host:port` */
  readonly url: string;
  readonly port: number;
  readonly handler: Handler;
  /** Takes no new requests, lets those inside finish, then closes the socket and unloads the models. */
  close(): Promise<void>;
  /** Ends at once; answers on their way are cut off. */
  terminate(): Promise<void>;
}

interface Listener {
  port: number;
  stop(force: boolean): Promise<void>;
}

/**
 * Starts the server of the runtime it is in: `node:http`, `Deno.serve` or `Bun.serve`.
 * @throws OptionError when other machines could reach it without an API key, or the port cannot be had
 */
export async function serve(options: ServeOptions): Promise<RunningServer> {
  const { host = "127.0.0.1", port = 8080, noAuth = false, ...rest } = options;
  if (!isLoopback(host) && !rest.apiKeys?.length && !noAuth)
    throw new OptionError(
      `On ${host} other machines can reach the server, and there is no API key`,
      { key: "host" },
      "Give API keys (--api-key-file), or say that none is wanted (--no-auth)",
    );
  const handler = createHandler(rest);
  const listener = await listen(handler, host, port).catch((cause: unknown) => {
    const code = (cause as { code?: string }).code;
    const why =
      code === "EADDRINUSE"
        ? "another program has it"
        : code === "EACCES"
          ? "this user may not"
          : String((cause as Error).message);
    throw new OptionError(
      `Port ${port} on ${host} cannot be listened on: ${why}`,
      { key: "port" },
      "Choose another one",
      {
        cause,
      },
    );
  });
  const shown = host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${shown}:${listener.port}`,
    port: listener.port,
    handler,
    async close() {
      await handler.close();
      await listener.stop(false);
    },
    async terminate() {
      await listener.stop(true);
    },
  };
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\./.test(host);
}

interface DenoLike {
  serve(
    options: { hostname: string; port: number; signal: AbortSignal; onListen(): void },
    handle: (request: Request, info: { remoteAddr: { hostname?: string } }) => Promise<Response>,
  ): { addr: { port: number }; finished: Promise<void>; shutdown(): Promise<void> };
}
interface BunLike {
  serve(options: {
    hostname: string;
    port: number;
    idleTimeout: number;
    fetch: (request: Request, server: { requestIP(request: Request): { address: string } | null }) => Promise<Response>;
  }): {
    port: number;
    stop(force: boolean): Promise<void> | void;
  };
}

async function listen(handler: Handler, hostname: string, port: number): Promise<Listener> {
  const { Deno, Bun } = globalThis as unknown as { Deno?: DenoLike; Bun?: BunLike };
  if (Bun) {
    // Pings come more often than every 255 s, the longest that Bun lets a silent connection live.
    const server = Bun.serve({
      hostname,
      port,
      idleTimeout: 255,
      fetch: (request, from) => handler(request, from.requestIP(request)?.address),
    });
    return { port: server.port, stop: async (force) => void (await server.stop(force)) };
  }
  if (Deno) {
    const cut = new AbortController();
    const server = Deno.serve(
      { hostname, port, signal: cut.signal, onListen: () => undefined },
      (request, { remoteAddr }) => handler(request, remoteAddr.hostname),
    );
    let open = true;
    // Cutting off what is closed already throws.
    void server.finished.then(() => {
      open = false;
    });
    return {
      port: server.addr.port,
      async stop(force) {
        if (!open) return;
        if (force) cut.abort();
        await (force ? server.finished : server.shutdown());
      },
    };
  }
  const { nodeServer } = await import("./node.js");
  const server = nodeServer(handler);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, hostname, resolve);
  });
  return {
    port: (server.address() as { port: number }).port,
    stop: (force) =>
      new Promise((resolve) => {
        server.close(() => resolve());
        if (force) server.closeAllConnections();
        else server.closeIdleConnections();
        // All answers are written; who has not read them by then never will.
        setTimeout(() => server.closeAllConnections(), LAST_BYTES).unref();
      }),
  };
}
