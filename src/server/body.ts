import { ApiError } from "./errors.js";

/** A request's body: one JSON object. */
export type JsonObject = Record<string, unknown>;

/**
 * Reads a body of at most `limit` bytes that is one JSON object.
 * @throws ApiError 413 for a longer one, 400 for anything else than an object
 */
export async function readJson(request: Request, limit: number): Promise<JsonObject> {
  const text = await readText(request, limit);
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

async function readText(request: Request, limit: number): Promise<string> {
  const tooLong = () => new ApiError(413, `The body is longer than ${limit} bytes`, { code: "request_too_large" });
  // The header is only believed when it says no.
  if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLong();
  if (!request.body) throw new ApiError(400, "The request has no body", { code: "invalid_json" });
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let bytes = 0;
  let text = "";
  try {
    for await (const chunk of chunks(request.body)) {
      bytes += chunk.byteLength;
      if (bytes > limit) throw tooLong();
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  } catch (error) {
    if (error instanceof TypeError && error.message.toLowerCase().includes("encoded"))
      throw new ApiError(400, "The body is not UTF-8", { code: "invalid_json" });
    throw error;
  }
}

async function* chunks(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { "Content-Type": "application/json; charset=utf-8", ...headers },
  });
}
