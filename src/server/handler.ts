import { corsHeaders, createAccess } from "./access.js";
import { Admission } from "./admission.js";
import { json, readJson } from "./body.js";
import { ApiError, toApiError } from "./errors.js";
import { Metrics } from "./metrics.js";
import { once } from "./once.js";
import { type HandlerOptions, handlerDefaults, type RequestRecord, type ResolvedOptions } from "./options.js";
import { ModelRegistry } from "./registry.js";
import { chatCompletions } from "./routes/chat-completions.js";
import { completions } from "./routes/completions.js";
import { embeddings } from "./routes/embeddings.js";
import { file, files } from "./routes/files.js";
import { responses } from "./routes/responses.js";
import { health, metrics, model, models, props, slots } from "./routes/status.js";
import { applyTemplate, detokenize, tokenize } from "./routes/tokens.js";
import type { Call, Endpoint, Server } from "./work.js";

/** A server without a socket: give it requests, it gives answers. */
export interface Handler {
  /** @param client address of who asks, for `perKey` where there are no keys */
  (request: Request, client?: string): Promise<Response>;
  /** Answers being computed and requests waiting. */
  readonly load: { running: number; waiting: number };
  /** Loads a model (default: the first) now instead of at the first request. */
  preload(name?: string, signal?: AbortSignal): Promise<void>;
  /** Refuses new requests with 503, lets those inside finish, and unloads what the server has loaded. */
  close(): Promise<void>;
}

const routes: Record<string, { method: "GET" | "POST"; endpoint: Endpoint; open?: boolean }> = {
  "/v1/chat/completions": { method: "POST", endpoint: chatCompletions },
  "/v1/completions": { method: "POST", endpoint: completions },
  "/v1/responses": { method: "POST", endpoint: responses },
  "/v1/embeddings": { method: "POST", endpoint: embeddings },
  "/v1/models": { method: "GET", endpoint: models },
  "/v1/models/*": { method: "GET", endpoint: model },
  "/files": { method: "GET", endpoint: files },
  "/files/*": { method: "GET", endpoint: file },
  "/tokenize": { method: "POST", endpoint: tokenize },
  "/detokenize": { method: "POST", endpoint: detokenize },
  "/apply-template": { method: "POST", endpoint: applyTemplate },
  "/health": { method: "GET", endpoint: health, open: true },
  "/props": { method: "GET", endpoint: props },
  "/slots": { method: "GET", endpoint: slots },
  "/metrics": { method: "GET", endpoint: metrics },
};

/**
 * An OpenAI-compatible server as one function from `Request` to `Response`, for Node, Deno, Bun, edge workers and tests.
 * Models are loaded when first asked for. The same model, options, request and seed give the same text, whatever else the
 * server is doing.
 * @throws OptionError for options that cannot be used
 */
export function createHandler(options: HandlerOptions): Handler {
  const resolved: ResolvedOptions = { ...handlerDefaults, ...withoutUndefined(options) };
  const server: Server = {
    options: resolved,
    registry: new ModelRegistry(resolved.models, resolved),
    admission: new Admission(resolved),
    metrics: new Metrics(),
    running: new Set(),
    started: Date.now(),
  };
  const checkAccess = createAccess(resolved);
  const handle = async (request: Request, client = ""): Promise<Response> => {
    const url = new URL(request.url);
    const record = newRecord(request, url);
    const began = performance.now();
    const headers: Record<string, string> = {
      "X-Request-Id": record.id,
      ...corsHeaders(request, resolved.allowedOrigins),
    };
    let streaming = false;
    const finish = once(() => {
      clearTimeout(timer);
      request.signal?.removeEventListener("abort", gone);
      record.ms = performance.now() - began;
      server.metrics.request(routeOf(url.pathname) ?? "other", record.status, record.ms / 1000);
      resolved.onRequest?.(record);
    });
    const controller = new AbortController();
    const gone = () => controller.abort(new ApiError(499, "The client has gone"));
    const timer = setTimeout(
      () =>
        controller.abort(new ApiError(504, `The answer took longer than ${resolved.timeout} s`, { code: "timeout" })),
      resolved.timeout * 1000,
    );
    (timer as { unref?: () => void }).unref?.();
    if (request.signal?.aborted) gone();
    request.signal?.addEventListener("abort", gone, { once: true });
    try {
      if (request.method === "OPTIONS" && "Access-Control-Allow-Origin" in headers)
        return withHeaders(new Response(null, { status: 204 }), headers);
      const path = routeOf(url.pathname);
      const key = checkAccess(request, url, path === undefined || routes[path]?.open === true, client);
      if (path === undefined) {
        const page =
          request.method === "GET" || request.method === "HEAD" ? await resolved.page?.(url.pathname) : undefined;
        if (page) return page;
        throw new ApiError(404, `There is nothing at ${url.pathname}`, { code: "not_found" });
      }
      const { method, endpoint } = routes[path] as (typeof routes)[string];
      if (request.method !== method && !(method === "GET" && request.method === "HEAD"))
        throw new ApiError(405, `${url.pathname} takes ${method} requests`, {
          code: "method_not_allowed",
          allow: method,
        });
      const body = method === "POST" ? await readJson(request, resolved.maxBodyBytes, controller.signal) : {};
      if (resolved.logPrompts) record.request = body;
      const call: Call = {
        server,
        request,
        url,
        body,
        key,
        signal: controller.signal,
        abort: (reason) => controller.abort(reason),
        record,
        finish,
      };
      const response = await endpoint(call);
      streaming = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
      record.status = response.status;
      return withHeaders(response, headers);
    } catch (error) {
      const failure = toApiError(controller.signal.aborted ? controller.signal.reason : error);
      record.status = failure.status;
      record.error =
        failure.status === 500 && error instanceof Error ? (error.stack ?? error.message) : failure.message;
      return withHeaders(errorResponse(failure), headers);
    } finally {
      if (!streaming) finish();
    }
  };
  const load = { get: () => ({ running: server.admission.running, waiting: server.admission.waiting }) };
  return Object.assign(Object.defineProperty(handle, "load", load) as typeof handle & Pick<Handler, "load">, {
    async preload(name?: string, signal: AbortSignal = new AbortController().signal) {
      (await server.registry.use(name, signal)).release();
    },
    async close() {
      await server.admission.close();
      await server.registry.dispose();
    },
  });
}

/** The route a path belongs to; `/models` and `/chat/completions` without `/v1` are known as well. */
function routeOf(pathname: string): string | undefined {
  const path = pathname.length > 1 ? pathname.replace(/\/$/, "") : pathname;
  for (const candidate of [path, `/v1${path}`]) {
    if (Object.hasOwn(routes, candidate)) return candidate;
    if (candidate.startsWith("/v1/models/")) return "/v1/models/*";
    if (candidate.startsWith("/files/")) return "/files/*";
  }
  return undefined;
}

function errorResponse(error: ApiError): Response {
  const headers: Record<string, string> = {};
  if (error.retryAfter !== undefined) headers["Retry-After"] = String(error.retryAfter);
  if (error.allow !== undefined) headers.Allow = error.allow;
  if (error.status === 401) headers["WWW-Authenticate"] = "Bearer";
  return json(error.body, error.status, headers);
}

function withHeaders(response: Response, headers: Record<string, string>): Response {
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  response.headers.set("X-Content-Type-Options", "nosniff");
  return response;
}

function newRecord(request: Request, url: URL): RequestRecord {
  const given = request.headers.get("x-request-id") ?? "";
  const id = /^[\w.-]{1,100}$/.test(given) ? given : crypto.randomUUID();
  return { id, time: new Date().toISOString(), method: request.method, path: url.pathname, status: 200, ms: 0 };
}

function withoutUndefined<Values extends object>(values: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Values;
}
