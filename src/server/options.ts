import type { GenerateOptions, LoadOptions, Model, ModelSource } from "../types.js";

/** A model the server offers: loaded by the server when first asked for, or loaded already. */
export type ServedModel =
  | { source: ModelSource; options?: LoadOptions | undefined }
  /** A loaded model stays its owner's: the server never unloads or disposes of it. */
  | { model: Model };

/** One finished request, for the log. Prompts and answers are in it only with `logPrompts`. */
export interface RequestRecord {
  /** Of the answer's header X-Request-Id: the one the request brought, or a new one. */
  id: string;
  /** When it arrived, ISO 8601. */
  time: string;
  method: string;
  path: string;
  status: number;
  /** Milliseconds from arrival to the last byte. */
  ms: number;
  model?: string | undefined;
  promptTokens?: number | undefined;
  cachedTokens?: number | undefined;
  completionTokens?: number | undefined;
  finishReason?: string | undefined;
  /** Message of the error answered, or why the request was cut off. */
  error?: string | undefined;
  /** Body of the request and text of the answer; only with `logPrompts`. */
  request?: unknown;
  answer?: string | undefined;
}

/** Options of `createHandler`. */
export interface HandlerOptions {
  /** Models by the name clients ask for. The first is the default for requests that name none. */
  models: Readonly<Record<string, ServedModel>>;
  /** How answers are written where a request does not say. Default: the library's defaults. */
  defaults?: GenerateOptions | undefined;
  /** What the model is told first in conversations that have no system message. Default: nothing. */
  system?: string | undefined;
  /** API keys; any of them opens the server, in `Authorization: Bearer KEY`. Default: none, everybody may ask. */
  apiKeys?: readonly string[] | undefined;
  /**
   * Names under which the server may be called, beside IP addresses and `localhost` (against DNS rebinding). Default:
   * none; with `apiKeys` any name will do.
   */
  allowedHosts?: readonly string[] | undefined;
  /** Origins of pages that may call the server from a browser, or `["*"]`. Default: none but the server's own page. */
  allowedOrigins?: readonly string[] | undefined;
  /** Answers computed at once; the rest waits. Default 16. */
  parallel?: number | undefined;
  /** Requests that may wait; one more is refused with 429. Default 64. */
  queue?: number | undefined;
  /** Requests one API key (without keys: one address) may have running or waiting. Default: no limit. */
  perKey?: number | undefined;
  /** Most bytes of a request's body. Default 8 MiB. */
  maxBodyBytes?: number | undefined;
  /** Most tokens of one answer, whatever the request says. Default: what the context holds. */
  maxTokens?: number | undefined;
  /** Seconds a request may take, waiting included; then it ends with an error. Default 600. */
  timeout?: number | undefined;
  /** Seconds without a byte after which a stream gets a comment, so that nothing between closes it. Default 15. */
  pingInterval?: number | undefined;
  /** Seconds without a request after which a model the server loaded is unloaded. Default: never. */
  unloadAfter?: number | undefined;
  /** Models the server keeps loaded at once; the one longest unused goes first. Default 1. */
  maxLoaded?: number | undefined;
  /** Called once per request, after its last byte. */
  onRequest?: ((record: RequestRecord) => void) | undefined;
  /** Put prompts and answers into the records of `onRequest`. Default false. */
  logPrompts?: boolean | undefined;
  /** Answers paths that are no API path, such as those of the chat page; undefined: 404. */
  page?: ((path: string) => Promise<Response | undefined>) | undefined;
}

/** `HandlerOptions` with nothing left open. */
export type ResolvedOptions = HandlerOptions &
  Required<Pick<HandlerOptions, "parallel" | "queue" | "maxBodyBytes" | "timeout" | "pingInterval" | "maxLoaded">>;

export const handlerDefaults = {
  parallel: 16,
  queue: 64,
  maxBodyBytes: 8 << 20,
  timeout: 600,
  pingInterval: 15,
  maxLoaded: 1,
} as const;
