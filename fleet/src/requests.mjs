import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

/** Endpoints a batch file may ask. */
export const endpoints = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"];

/** Something wrong with what the caller gave; the message says what, where, and what to do. */
export class FleetError extends Error {
  name = "FleetError";
}

/** JSON with sorted keys: equal values give equal bytes. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map((each) => canonical(each)).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const fields = Object.keys(value).sort();
  return `{${fields.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}

export const sha256 = (text) => createHash("sha256").update(text).digest("hex");

/**
 * The job of a request. A request that draws and names no seed gets one that follows from its hash, so that the answer
 * is a function of the job.
 * @param {string} fingerprint `system_fingerprint` of the model with its load options
 * @returns {{ id: string, url: string, body: object }} `id`: SHA-256 over fingerprint, endpoint, options and prompt
 */
export function jobOf(fingerprint, url, body) {
  let asked = body;
  if (url !== "/v1/embeddings" && (asked.seed === undefined || asked.seed === null))
    asked = { ...asked, seed: Number.parseInt(sha256(canonical([fingerprint, url, asked])).slice(0, 8), 16) };
  return { id: sha256(canonical([fingerprint, url, asked])), url, body: asked };
}

/**
 * What of an answer is a function of the job: all but the random id, the time, the timings, and how much of the prompt
 * was in a cache. The id becomes one that follows from the job's.
 */
export function settled(job, answer) {
  const { id, created, timings, ...rest } = answer;
  const usage = rest.usage && { ...rest.usage };
  if (usage) delete usage.prompt_tokens_details;
  return {
    ...(id === undefined ? {} : { id: `${String(id).split("-")[0]}-${job.id.slice(0, 32)}` }),
    ...rest,
    ...(typeof rest.model === "string" && job.body.model !== undefined ? { model: job.body.model } : {}),
    ...(usage ? { usage } : {}),
  };
}

/**
 * Requests of an OpenAI batch file, line by line.
 * @throws FleetError with the line for what is not a request that can be computed
 */
export async function* readBatchFile(path) {
  const seen = new Set();
  let model;
  let number = 0;
  const input = createReadStream(path);
  const lines = createInterface({ input, crlfDelay: Infinity });
  for await (const text of lines) {
    number++;
    if (text.trim() === "") continue;
    const where = `${path}, line ${number}`;
    let line;
    try {
      line = JSON.parse(text);
    } catch (error) {
      throw new FleetError(`${where} is not JSON: ${error.message}`);
    }
    const { custom_id, method = "POST", url, body } = line ?? {};
    if (typeof custom_id !== "string" || custom_id === "") throw new FleetError(`${where} has no custom_id`);
    if (seen.has(custom_id)) throw new FleetError(`${where}: custom_id ${JSON.stringify(custom_id)} was there before`);
    seen.add(custom_id);
    if (method !== "POST" || !endpoints.includes(url))
      throw new FleetError(`${where} asks ${method} ${url}; a batch takes POST to ${endpoints.join(", ")}`);
    if (body === null || typeof body !== "object" || Array.isArray(body))
      throw new FleetError(`${where} has no body, which is an object with the request`);
    if (body.stream) throw new FleetError(`${where} asks for a stream; remove "stream" from its body`);
    model ??= body.model;
    if (body.model !== model)
      throw new FleetError(
        `${where} asks for model ${JSON.stringify(body.model)}, lines before for ${JSON.stringify(model)}; make one file per model`,
      );
    yield { custom_id, url, body };
  }
  if (number === 0 || seen.size === 0) throw new FleetError(`${path} has no requests`);
}
