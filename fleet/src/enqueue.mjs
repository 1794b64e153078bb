import { Engine } from "./engine.mjs";
import { planEvaluation } from "./evaluations.mjs";
import { jobOf, readBatchFile, sha256 } from "./requests.mjs";

const CHUNK = 500;

/** The queue of requests for models with this `system_fingerprint`, and of evaluations of models with that fingerprint. */
export const requestQueue = (fingerprint) => `jobs-${fingerprint}`;
export const evaluationQueue = (fingerprint) => `evaluations-${fingerprint}`;

/**
 * How jobs are put into a queue.
 * @typedef {{ priority?: number, attempts?: number, backoff?: number, maxWaiting?: number }} QueueSettings `priority`: 1
 * (first) to 2097152, default 100; `attempts`: tries per job, default 3; `backoff`: ms before the second try, then doubled,
 * default 1000; `maxWaiting`: jobs in the queue above which adding waits, default 10000
 *
 * @typedef {{ batch: string, total: number, jobs: number, known: number }} Enqueued `jobs`: different jobs; `known`: of
 * them with a result already
 */

/**
 * Puts the requests of a batch file into the queue. The same file and model give the same batch and the same jobs:
 * doing it again, after an interruption or a loss of the store, adds what is missing and nothing twice.
 * @param {import("./store-types.mjs").Store} store
 * @param {{ input: string, model: string, options?: object, fingerprint?: string } & QueueSettings} settings
 * @returns {Promise<Enqueued>}
 * @throws FleetError for a file that is not a batch file; nothing has been put into the queue then
 */
export async function enqueue(store, settings) {
  const { input, model, options } = settings;
  for await (const _ of readBatchFile(input));
  const fingerprint = settings.fingerprint ?? (await fingerprintOf(model, options));
  const items = [];
  for await (const { custom_id, url, body } of readBatchFile(input))
    items.push([custom_id, jobOf(fingerprint, url, body).id]);
  const jobs = async function* () {
    for await (const { url, body } of readBatchFile(input)) {
      const { id, body: asked } = jobOf(fingerprint, url, body);
      yield { id, data: { url, body: asked } };
    }
  };
  return add(store, { queue: requestQueue(fingerprint), kind: "requests", input, items, jobs: jobs(), settings });
}

/**
 * Puts an evaluation, or a sweep, into the queue, cut into shards. Files named by the options go with it.
 * @param {import("./store-types.mjs").Store} store
 * @param {{ model: string, words: string[], shards: number } & QueueSettings} settings `words`: options of `deltallm eval`
 * @returns {Promise<Enqueued>}
 * @throws FleetError for options that `deltallm eval` does not take
 */
export async function enqueueEvaluation(store, settings) {
  const { words } = settings;
  const { fingerprint, jobs } = await planEvaluation(store, settings);
  const items = jobs.map(({ custom_id, id }) => [custom_id, id]);
  const input = `eval ${words.join(" ")}`;
  return add(store, { queue: evaluationQueue(fingerprint), kind: "evaluations", input, items, jobs, settings });
}

async function add(store, { queue: name, kind, input, items, jobs, settings }) {
  const { priority = 100, attempts = 3, backoff = 1000, maxWaiting = 10000 } = settings;
  const batch = `batch_${sha256(items.map((item) => JSON.stringify(item)).join("\n")).slice(0, 32)}`;
  const ids = [...new Set(items.map(([, id]) => id))];
  const known = (await store.done(ids)).filter(Boolean).length;
  await store.record(batch, { queue: name, kind, input, total: items.length, cancelled: false, items });

  const queue = store.queue(name);
  let chunk = [];
  const send = async () => {
    const done = await store.done(chunk.map(({ opts }) => opts.jobId));
    const missing = chunk.filter((_, index) => !done[index]);
    while ((await queue.getWaitingCount()) + (await queue.getPrioritizedCount()) > maxWaiting)
      await new Promise((resolve) => setTimeout(resolve, 500));
    if (missing.length) await queue.addBulk(missing);
    chunk = [];
  };
  for await (const { id, data } of jobs) {
    const backoffRule = { type: "exponential", delay: backoff };
    const opts = { jobId: id, priority, attempts, backoff: backoffRule, removeOnComplete: true };
    chunk.push({ name: kind, data, opts });
    if (chunk.length === CHUNK) await send();
  }
  await send();
  return { batch, total: items.length, jobs: ids.length, known };
}

async function fingerprintOf(source, options) {
  const engine = new Engine({ source, options });
  try {
    return (await engine.props()).system_fingerprint;
  } finally {
    await engine.close();
  }
}
