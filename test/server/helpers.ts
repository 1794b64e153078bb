import { request as httpRequest } from "node:http";
import { Readable } from "node:stream";
import { test as uvuTest } from "uvu";
import { loadModel } from "#src/index.js";
import { createHandler, type HandlerOptions, type RunningServer, serve } from "#src/server/index.js";
import type { Model } from "#src/types.js";

let embedded: Promise<Model> | undefined;
let throughSocket = false;
const servers: RunningServer[] = [];

/** The embedded model, loaded once per test file. */
export function sharedModel(): Promise<Model> {
  embedded ??= loadModel("embedded");
  return embedded;
}

/** Runs a test twice: with the handler as a function, and through a socket of the runtime's own server. */
export function test(name: string, run: () => Promise<void>): void {
  for (const socket of [false, true])
    uvuTest(socket ? `${name}, through a socket` : name, async () => {
      throughSocket = socket;
      try {
        await run();
      } finally {
        throughSocket = false;
        await Promise.all(servers.splice(0).map((server) => server.terminate()));
      }
    });
}
test.once = uvuTest;
test.run = () => {
  uvuTest.after(async () => (await sharedModel()).dispose());
  uvuTest.run();
};

/** A server that can be asked without knowing whether there is a socket between. */
export interface Asked {
  (request: Request): Promise<Response>;
  readonly load: { running: number; waiting: number };
  close(): Promise<void>;
}

/** A server of the embedded model, named `story`. */
export async function storyHandler(options: Partial<HandlerOptions> = {}): Promise<Asked> {
  return asked({ models: { story: { model: await sharedModel() } }, ...options });
}

/** A server with these options: the handler itself or, in the second run of a test, one behind a socket. */
export async function asked(options: HandlerOptions): Promise<Asked> {
  if (!throughSocket) return createHandler(options);
  const server = await serve({ ...options, port: 0 });
  servers.push(server);
  const ask = async (request: Request) => {
    const { pathname, search } = new URL(request.url);
    const url = server.url + pathname + search;
    // `fetch` lets nobody choose a Host.
    return request.headers.has("host") ? withHost(url, request) : fetch(new Request(url, request));
  };
  const load = { get: () => server.handler.load };
  return Object.assign(Object.defineProperty(ask, "load", load) as typeof ask & Pick<Asked, "load">, {
    close: () => server.close(),
  });
}

function withHost(url: string, { method, headers }: Request): Promise<Response> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { method, headers: Object.fromEntries(headers) }, (answer) => {
      const status = answer.statusCode ?? 0;
      const fields = Object.entries(answer.headersDistinct).flatMap(([name, values = []]) =>
        values.map((value): [string, string] => [name, value]),
      );
      const body = Readable.toWeb(answer) as unknown as ReadableStream<Uint8Array>;
      resolve(new Response(body, { status, headers: fields }));
    });
    sent.on("error", reject).end();
  });
}

/** Waits until something holds; the test's own time limit ends what never does. */
export async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

export function post(path: string, body: unknown, init: RequestInit = {}): Request {
  return new Request(`http://localhost${path}`, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
    headers: { "Content-Type": "application/json", ...(init.headers as Record<string, string>) },
  });
}

export function get(path: string, headers: Record<string, string> = {}): Request {
  return new Request(`http://localhost${path}`, { headers });
}

/** The events of a stream: the data of each, parsed unless it is `[DONE]`. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
export function events(text: string): { event?: string; id?: string; data: any }[] {
  return text
    .split("\n\n")
    .filter((block) => block !== "" && !block.startsWith(":"))
    .map((block) => {
      const fields = Object.fromEntries(
        block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
      );
      return { ...fields, data: fields.data === "[DONE]" ? fields.data : JSON.parse(fields.data as string) };
    });
}

/** The text of a streamed chat completion. */
export function streamedText(text: string): string {
  return events(text)
    .map(({ data }) => data.choices?.[0]?.delta?.content ?? "")
    .join("");
}
