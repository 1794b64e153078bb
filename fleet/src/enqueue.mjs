import { Engine } from "./engine.mjs";
import { jobOf, readBatchFile, sha256 } from "./requests.mjs";

const CHUNK = 500;

/**
 * Puts the requests of a batch file into the queue. The same file and model give the same batch and the same jobs:
 * doing it again, after an interruption or a loss of Redis, adds what is missing and nothing twice.
 * @param {import("./store.mjs").Store} store
 * @param {{ input: string, model: string, options?: object, fingerprint?: string, priority?: number, attempts?: number,
 *   backoff?: number, maxWaiting?: number }} settings `priority`: 1 (first) to 2097152, default 100; `attempts`: tries per
 * job, default 3; `backoff`: ms before the second try, then doubled, default 1000; `maxWaiting`: jobs in the queue above
 * which adding waits, default 10000
 * @returns {Promise<{ batch: string, total: number, jobs: number, known: number }>} `jobs`: different jobs; `known`: of
 * them with a result already
 * @throws FleetError for a file that is not a batch file; nothing has been put into the queue then
 */
export async function enqueue(store, settings) {
  const { input, model, options, priority = 100, attempts = 3, backoff = 1000, maxWaiting = 10000 } = settings;
  for await (const _ of readBatchFile(input));
  const fingerprint = settings.fingerprint ?? (await fingerprintOf(model, options));
  const items = [];
  const hashes = [];
  for await (const { custom_id, url, body } of readBatchFile(input)) {
    const { id } = jobOf(fingerprint, url, body);
    items.push([custom_id, id]);
    hashes.push(JSON.stringify([custom_id, id]));
  }
  const batch = `batch_${sha256(hashes.join("\n")).slice(0, 32)}`;
  const ids = [...new Set(items.map(([, id]) => id))];
  const known = (await store.done(ids)).filter(Boolean).length;
  await record(store, { batch, fingerprint, hashes, ids, input });

  const queue = store.queue(fingerprint);
  let chunk = [];
  const send = async () => {
    const done = await store.done(chunk.map(({ opts }) => opts.jobId));
    const missing = chunk.filter((_, index) => !done[index]);
    while ((await queue.getWaitingCount()) + (await queue.getPrioritizedCount()) > maxWaiting)
      await new Promise((resolve) => setTimeout(resolve, 500));
    if (missing.length) await queue.addBulk(missing);
    chunk = [];
  };
  for await (const { url, body } of readBatchFile(input)) {
    const job = jobOf(fingerprint, url, body);
    const backoffRule = { type: "exponential", delay: backoff };
    const opts = { jobId: job.id, priority, attempts, backoff: backoffRule, removeOnComplete: true };
    chunk.push({ name: "request", data: { url, body: job.body }, opts });
    if (chunk.length === CHUNK) await send();
  }
  await send();
  return { batch, total: items.length, jobs: ids.length, known };
}

async function record(store, { batch, fingerprint, hashes, ids, input }) {
  const list = store.key("batch", batch, "items");
  const write = store.redis.multi().del(list);
  for (let at = 0; at < hashes.length; at += CHUNK) write.rpush(list, ...hashes.slice(at, at + CHUNK));
  for (const id of ids) write.sadd(store.key("job", id, "batches"), batch);
  const about = { fingerprint, input, total: hashes.length, cancelled: 0 };
  write.hset(store.key("batch", batch), about);
  write.zadd(store.key("batches"), "NX", Date.now(), batch);
  for (const [error] of await write.exec()) if (error) throw error;
}

async function fingerprintOf(source, options) {
  const engine = new Engine({ source, options });
  try {
    return await engine.fingerprint();
  } finally {
    await engine.close();
  }
}
