import { modelFingerprint } from "../../formats/fingerprint.js";
import { samplingDefaults } from "../../generate/sampling-options.js";
import { PAGE, pageBytes } from "../../kv/layout.js";
import type { Model } from "../../types.js";
import { json } from "../body.js";
import { ApiError } from "../errors.js";
import type { Endpoint, Server } from "../work.js";

/** `GET /health` */
export const health: Endpoint = async ({ server }) =>
  server.admission.closed ? json({ status: "shutting down" }, 503, { "Retry-After": "5" }) : json({ status: "ok" });

/** `GET /v1/models` */
export const models: Endpoint = async ({ server }) =>
  json({ object: "list", data: server.registry.names.map((name) => describe(server, name)) });

/** `GET /v1/models/{name}` */
export const model: Endpoint = async ({ server, url }) => {
  const written = url.pathname.replace(/^\/(v1\/)?models\//, "");
  let name = written;
  try {
    name = decodeURIComponent(written);
  } catch {
    // No model has a name that cannot be read.
  }
  if (!server.registry.names.includes(name))
    throw new ApiError(404, `There is no model ${JSON.stringify(name)} here`, {
      param: "model",
      code: "model_not_found",
    });
  return json(describe(server, name));
};

/** `GET /props`: what llama-server tells of itself. */
export const props: Endpoint = async ({ server, url, signal }) => {
  const used = await server.registry.use(url.searchParams.get("model") ?? undefined, signal);
  try {
    const { model: loaded, name, fingerprint } = used;
    const { chatTemplate } = loaded.file.tokenizer;
    return json({
      default_generation_settings: {
        n_ctx: loaded.contextLength,
        params: {
          temperature: samplingDefaults.temperature,
          top_k: samplingDefaults.topK,
          top_p: samplingDefaults.topP,
          min_p: samplingDefaults.minP,
          repeat_penalty: samplingDefaults.repetitionPenalty,
          repeat_last_n: samplingDefaults.repetitionWindow,
        },
      },
      total_slots: server.admission.parallel,
      model_alias: name,
      model_path: loaded.file.name,
      system_fingerprint: fingerprint,
      model_fingerprint: await modelFingerprint(loaded),
      // What a session takes per token, keys and values together.
      kv_bytes_per_token: Math.ceil((2 * pageBytes(used.kvCache, loaded.config)) / PAGE),
      weight_bytes: loaded.stats().weightBytes,
      chat_template: chatTemplate ?? null,
      kernel: loaded.stats().kernel,
      threads: loaded.stats().threads,
      is_sleeping: false,
    });
  } finally {
    used.release();
  }
};

/** `GET /slots`: a place for each answer that can be computed at once, those that are taken first. */
export const slots: Endpoint = async ({ server, url }) => {
  const { parallel } = server.admission;
  const taken = [...server.running].flatMap(({ id, model: name, started, generation }) =>
    generation.answers.map(({ tokens }) => ({
      id_task: id,
      model: name,
      n_ctx: server.registry.loaded(name)?.contextLength ?? 0,
      is_processing: true,
      started: new Date(started).toISOString(),
      n_decoded: tokens,
    })),
  );
  const [first = ""] = server.registry.names;
  const free = { model: first, n_ctx: server.registry.loaded(first)?.contextLength ?? 0, is_processing: false };
  const all = [...taken, ...Array.from({ length: Math.max(parallel - taken.length, 0) }, () => free)];
  const full = taken.length >= parallel && url.searchParams.get("fail_on_no_slot") === "1";
  return json(
    all.map((slot, id) => ({ id, ...slot })),
    full ? 503 : 200,
  );
};

/** `GET /metrics` */
export const metrics: Endpoint = async ({ server }) => {
  const loaded = server.registry.allLoaded.map((entry) => entry.model.stats());
  const sum = (pick: (stats: ReturnType<Model["stats"]>) => number) =>
    loaded.reduce((total, each) => total + pick(each), 0);
  const { process } = globalThis as { process?: { memoryUsage?(): { rss: number } } };
  const gauges = {
    requests_processing: server.admission.running,
    requests_deferred: server.admission.waiting,
    models_loaded: loaded.length,
    memory_bytes: sum(({ memoryBytes }) => memoryBytes),
    kv_cache_bytes: sum(({ kvBytes }) => kvBytes),
    process_memory_bytes: process?.memoryUsage?.().rss ?? 0,
  };
  const text = server.metrics.text(gauges, server.registry.passes);
  return new Response(text, { headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" } });
};

function describe(server: Server, name: string): object {
  const loaded = server.registry.loaded(name);
  const entry = { id: name, object: "model", created: Math.floor(server.started / 1000), owned_by: "deltallm" };
  if (!loaded) return { ...entry, loaded: false };
  const { config, file } = loaded;
  return {
    ...entry,
    loaded: true,
    meta: {
      n_vocab: config.vocab,
      n_ctx_train: config.contextLength,
      n_embd: config.hidden,
      n_params: file.allTensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0),
      size: file.allTensors.reduce((sum, { byteLength }) => sum + byteLength, 0),
    },
  };
}
