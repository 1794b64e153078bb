import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { finished } from "node:stream/promises";
import { FleetError } from "./requests.mjs";

/** Batches by the time they were first put in. */
export const listBatches = (store) => store.redis.zrange(store.key("batches"), 0, -1);

async function open(store, batch) {
  const about = await store.redis.hgetall(store.key("batch", batch));
  if (!about.fingerprint)
    throw new FleetError(`There is no batch ${batch}; "deltallm-fleet status" lists those there are`);
  const items = (await store.redis.lrange(store.key("batch", batch, "items"), 0, -1)).map((text) => JSON.parse(text));
  return { ...about, cancelled: about.cancelled === "1", items, queue: store.queue(about.fingerprint) };
}

/** Dead letters: jobs of a batch that have used up their tries, and why. */
export async function deadLetters(store, batch) {
  const { items, queue } = await open(store, batch);
  const jobs = new Map(items.map(([custom_id, id]) => [id, custom_id]));
  const failed = (await queue.getFailed(0, -1)).filter((job) => job && jobs.has(job.id));
  const done = await store.done(failed.map(({ id }) => id));
  return failed
    .filter((_, index) => !done[index])
    .map(({ id, failedReason, attemptsMade, stalledCounter }) => ({
      custom_id: jobs.get(id),
      job: id,
      attempts: attemptsMade,
      stalls: stalledCounter ?? 0,
      reason: failedReason,
    }));
}

/**
 * How far a batch is.
 * @returns {Promise<{ batch: string, total: number, done: number, failed: number, left: number, cancelled: boolean,
 *   complete: boolean, secondsLeft: number | null }>} `secondsLeft`: by the machines' speed so far, null while unknown
 */
export async function batchStatus(store, batch) {
  const { items, cancelled } = await open(store, batch);
  const dead = new Set((await deadLetters(store, batch)).map(({ job }) => job));
  const results = await store.done(items.map(([, id]) => id));
  const done = results.filter(Boolean).length;
  const failed = items.filter(([, id], index) => !results[index] && dead.has(id)).length;
  const left = cancelled ? 0 : items.length - done - failed;
  const speed = (await machines(store)).reduce((sum, { jobsPerSecond }) => sum + jobsPerSecond, 0);
  const secondsLeft = left === 0 ? 0 : speed > 0 ? left / speed : null;
  return { batch, total: items.length, done, failed, left, cancelled, complete: left === 0, secondsLeft };
}

/** Machines that have reported within the last minute, and those put out with the reason. */
export async function machines(store) {
  const out = await store.redis.hgetall(store.key("out"));
  const names = new Set([...(await store.redis.smembers(store.key("machines"))), ...Object.keys(out)]);
  const list = [];
  for (const name of [...names].sort()) {
    const about = await store.redis.hgetall(store.key("machine", name));
    if (about.name === undefined && out[name] === undefined) {
      await store.redis.srem(store.key("machines"), name);
      continue;
    }
    const [done, busyMs, concurrency] = [Number(about.done ?? 0), Number(about.busyMs ?? 0), Number(about.concurrency)];
    const fresh = Date.now() - Number(about.seen ?? 0) < 10000;
    const jobsPerSecond = fresh && busyMs > 0 && out[name] === undefined ? (done * concurrency * 1000) / busyMs : 0;
    const state = out[name] === undefined ? (fresh ? "working" : "silent") : "out";
    list.push({ name, state, done, failed: Number(about.failed ?? 0), jobsPerSecond, reason: out[name] });
  }
  return list;
}

/** Puts dead letters of a batch back into the queue with all their tries. */
export async function retryBatch(store, batch) {
  const { queue } = await open(store, batch);
  const dead = await deadLetters(store, batch);
  for (const { job } of dead) await (await queue.getJob(job))?.retry("failed", { resetAttemptsMade: true });
  return dead.length;
}

/**
 * Takes a batch's jobs out of the queue, except those another batch wants. Jobs being computed are finished, results
 * stay.
 * @returns {Promise<number>} jobs taken out
 */
export async function cancelBatch(store, batch) {
  const { items, queue } = await open(store, batch);
  await store.redis.hset(store.key("batch", batch), "cancelled", 1);
  let removed = 0;
  for (const id of new Set(items.map(([, id]) => id))) {
    const key = store.key("job", id, "batches");
    await store.redis.srem(key, batch);
    if ((await store.redis.scard(key)) > 0) continue;
    // Jobs under a lock cannot be removed; their worker finishes them.
    removed += await queue.remove(id).catch(() => 0);
  }
  return removed;
}

/** Cancels a batch and deletes it with the results no other batch wants. */
export async function forgetBatch(store, batch) {
  const { items } = await open(store, batch);
  await cancelBatch(store, batch);
  for (const [, id] of items)
    if ((await store.redis.scard(store.key("job", id, "batches"))) === 0)
      await store.redis.del(store.key("result", id));
  await store.redis.del(store.key("batch", batch), store.key("batch", batch, "items"));
  await store.redis.zrem(store.key("batches"), batch);
}

/**
 * Writes a batch's answers in the order of its file as OpenAI batch output: answers to `output`, requests that were
 * refused, failed or cancelled to `errors`. Files appear whole or not at all.
 * @returns {Promise<{ answers: number, errors: number }>}
 * @throws FleetError for a batch that is not complete, unless `partial`; then what is missing is left out
 */
export async function collect(store, batch, { output, errors = `${output}.errors`, partial = false }) {
  const { items, cancelled } = await open(store, batch);
  const dead = new Map((await deadLetters(store, batch)).map((letter) => [letter.job, letter]));
  const files = [output, errors].map((path) => ({ path, temporary: `${path}.${process.pid}.tmp`, lines: 0 }));
  for (const file of files) file.stream = createWriteStream(file.temporary);
  const write = (file, line) => {
    file.lines++;
    if (!file.stream.write(`${JSON.stringify(line)}\n`)) return new Promise((done) => file.stream.once("drain", done));
  };
  let missing = 0;
  try {
    for (let at = 0; at < items.length; at += 500) {
      const part = items.slice(at, at + 500);
      const results = await store.results(part.map(([, id]) => id));
      for (const [index, [custom_id, id]] of part.entries()) {
        const line = { id: `batch_req_${id.slice(0, 32)}`, custom_id };
        const bytes = results[index];
        if (bytes !== null) {
          const { status, body } = JSON.parse(bytes);
          const response = { status_code: status, request_id: id, body };
          await write(files[status === 200 ? 0 : 1], { ...line, response, error: null });
        } else if (dead.has(id)) {
          const { attempts, reason } = dead.get(id);
          const error = { code: "job_failed", message: `${reason} (after ${attempts} tries)` };
          await write(files[1], { ...line, response: null, error });
        } else if (cancelled) {
          const error = {
            code: "batch_cancelled",
            message: "The batch was cancelled before this request was answered",
          };
          await write(files[1], { ...line, response: null, error });
        } else missing++;
      }
    }
    if (missing > 0 && !partial)
      throw new FleetError(`Batch ${batch} is not complete: ${missing} of ${items.length} requests have no result yet`);
    for (const { stream } of files) await finished(stream.end());
    for (const { path, temporary } of files) await rename(temporary, path);
    return { answers: files[0].lines, errors: files[1].lines };
  } finally {
    for (const { stream, temporary } of files) {
      stream.destroy();
      await rm(temporary, { force: true });
    }
  }
}
