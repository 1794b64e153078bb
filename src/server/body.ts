import { unlessAborted } from "../platform/waiting.js";
import { ApiError } from "./errors.js";

/** A request's body: one JSON object. */
export type JsonObject = Record<string, unknown>;

/** Milliseconds in which a body must have come. */
const BODY_TIMEOUT = 60_000;

/**
 * Reads a body of at most `limit` bytes that is one JSON object.
 * @throws ApiError 413 for a longer one, 408 for one that does not end, 400 for anything else than an object; or the
 * signal's reason
 */
export async function readJson(request: Request, limit: number, signal: AbortSignal): Promise<JsonObject> {
  const text = await readText(request, limit, signal);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const why = error instanceof SyntaxError ? error.message : "it is nested too deeply";
    throw new ApiError(400, `The body is not JSON: ${why}`, { code: "invalid_json" });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ApiError(400, "The body must be a JSON object", { code: "invalid_json" });
  return value as JsonObject;
}

async function readText(request: Request, limit: number, signal: AbortSignal): Promise<string> {
  const tooLong = () => new ApiError(413, `The body is longer than ${limit} bytes`, { code: "request_too_large" });
  // The header is only believed when it says no.
  if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLong();
  const encoding = request.headers.get("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity")
    throw new ApiError(415, `A body with Content-Encoding ${JSON.stringify(encoding)} is not supported`, {
      code: "unsupported_encoding",
    });
  if (!request.body) throw new ApiError(400, "The request has no body", { code: "invalid_json" });
  const reader = request.body.getReader();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new ApiError(408, "The body took too long to come")), BODY_TIMEOUT);
  const over = AbortSignal.any([signal, late.signal]);
  let bytes = 0;
  let text = "";
  try {
    for (;;) {
      const { done, value } = await unlessAborted(reader.read(), over);
      if (done) return text + decoder.decode();
      bytes += value.byteLength;
      if (bytes > limit) throw tooLong();
      text += decoder.decode(value, { stream: true });
    }
  } catch (error) {
    if (error instanceof TypeError && error.message.toLowerCase().includes("encod"))
      throw new ApiError(400, "The body is not UTF-8", { code: "invalid_json" });
    throw error;
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => undefined);
  }
}

export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { "Content-Type": "application/json; charset=utf-8", ...headers },
  });
}
