import type { ByteSource } from "../../formats/source.js";
import { startHash } from "../../hub/hash.js";
import { json } from "../body.js";
import { ApiError } from "../errors.js";
import type { Endpoint, Server } from "../work.js";

const CHUNK = 1 << 20;
const hashes = new WeakMap<ByteSource, Promise<string>>();

/** `GET /files`: the GGUF files of the models in memory, by which other machines can have them. */
export const files: Endpoint = async ({ server }) => json({ object: "list", data: await listFiles(server) });

/** `GET /files/{sha256}`: one of them, whole or the range that is asked for. */
export const file: Endpoint = async ({ server, request, url }) => {
  const wanted = url.pathname.split("/").at(-1);
  const found = (await listFiles(server)).find(({ sha256 }) => sha256 === wanted);
  if (!found) throw new ApiError(404, "No model in memory here has a file with this SHA-256", { code: "not_found" });
  const used = await server.registry.use(found.model, AbortSignal.timeout(60_000));
  const source = sourceOf(used.model.file.allTensors);
  if (!source) {
    used.release();
    throw new ApiError(404, "The model has changed", { code: "not_found" });
  }
  const { size } = source;
  const etag = `"${wanted}"`;
  const range = rangeOf(request, etag, size);
  const headers = new Headers({ ETag: etag, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream" });
  if (range === undefined) {
    used.release();
    headers.set("Content-Range", `bytes */${size}`);
    return new Response(null, { status: 416, headers });
  }
  let [at, end] = range;
  const status = at > 0 || end < size ? 206 : 200;
  if (status === 206) headers.set("Content-Range", `bytes ${at}-${end - 1}/${size}`);
  headers.set("Content-Length", String(end - at));
  if (request.method === "HEAD") {
    used.release();
    return new Response(null, { status, headers });
  }
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          // A copy: what a source hands out may be used again for the next read.
          const bytes = (await source.read(at, Math.min(CHUNK, end - at))).slice();
          at += bytes.length;
          controller.enqueue(bytes);
          if (at < end) return;
          controller.close();
        } catch (error) {
          controller.error(error);
        }
        used.release();
      },
      cancel: () => used.release(),
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { status, headers });
};

async function listFiles({ registry }: Server) {
  const list = [];
  for (const { name, model } of registry.allLoaded) {
    const source = sourceOf(model.file.allTensors);
    if (!source) continue;
    const hash = hashes.get(source) ?? hashOf(source);
    hashes.set(source, hash);
    list.push({ model: name, sha256: await hash, size: source.size });
  }
  return list;
}

/** The one file that all tensors are in. */
function sourceOf(tensors: readonly { source: ByteSource }[]): ByteSource | undefined {
  const sources = new Set(tensors.map(({ source }) => source));
  return sources.size === 1 ? [...sources][0] : undefined;
}

async function hashOf(source: ByteSource): Promise<string> {
  const hash = await startHash({ kind: "sha256" });
  for (let at = 0; at < source.size; at += CHUNK) hash.update(await source.read(at, Math.min(CHUNK, source.size - at)));
  return hash.digest();
}

/** First byte and the one after the last; the whole for what is no range, undefined for one outside the file. */
function rangeOf({ headers }: Request, etag: string, size: number): [number, number] | undefined {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(headers.get("range") ?? "") ?? [];
  const condition = headers.get("if-range");
  if (first === undefined || last === undefined || first + last === "" || (condition !== null && condition !== etag))
    return [0, size];
  if (first === "") return last === "0" ? undefined : [Math.max(0, size - Number(last)), size];
  const end = last === "" ? size : Math.min(size, Number(last) + 1);
  return Number(first) < end ? [Number(first), end] : undefined;
}
