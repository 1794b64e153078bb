import { FleetError } from "./requests.mjs";

/** ms without a report after which a machine counts as silent. */
const SILENT = 10_000;

/** Batches by the time they were first put in. */
export const listBatches = (store) => store.batches();

/** @throws FleetError for a name that no batch has */
export async function openBatch(store, name) {
  const batch = await store.batch(name);
  if (!batch) throw new FleetError(`There is no batch ${name}; "deltallm-fleet status" lists those there are`);
  return { ...batch, queue: store.queue(batch.queue), queueName: batch.queue };
}

/** Dead letters: jobs of a batch that have used up their tries, and why. */
export async function deadLetters(store, batch) {
  const { items, queue } = await openBatch(store, batch);
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
 * @returns {Promise<{ batch: string, kind: string, total: number, done: number, failed: number, left: number,
 *   cancelled: boolean, complete: boolean, secondsLeft: number | null }>} `secondsLeft`: by the speed so far of the
 * machines that take its jobs, null while unknown
 */
export async function batchStatus(store, name) {
  const { items, cancelled, kind, queueName } = await openBatch(store, name);
  const dead = new Set((await deadLetters(store, name)).map(({ job }) => job));
  const results = await store.done(items.map(([, id]) => id));
  const done = results.filter(Boolean).length;
  const failed = items.filter(([, id], index) => !results[index] && dead.has(id)).length;
  const left = cancelled ? 0 : items.length - done - failed;
  const speed = (await machines(store)).reduce((sum, machine) => {
    if (machine.queue === queueName) return sum + machine.jobsPerSecond;
    return machine.evaluations === queueName ? sum + machine.shardsPerSecond : sum;
  }, 0);
  const secondsLeft = left === 0 ? 0 : speed > 0 ? left / speed : null;
  return { batch: name, kind, total: items.length, done, failed, left, cancelled, complete: left === 0, secondsLeft };
}

/**
 * Machines that have reported within the last minute, and those put out with the reason.
 * @returns {Promise<({ name: string, state: "working" | "silent" | "out", jobsPerSecond: number, tokensPerSecond: number,
 *   shardsPerSecond: number } & Partial<import("./store-types.mjs").Report>)[]>}
 */
export async function machines(store) {
  return (await store.machines()).map(({ silentMs, reason, ...report }) => {
    const { done = 0, failed = 0, tokens = 0, busyMs = 0, shards = 0, shardMs = 0, concurrency = 1 } = report;
    const state = reason !== undefined ? "out" : silentMs > SILENT ? "silent" : "working";
    const perSecond = (count, ms) => (state === "working" && ms > 0 ? (count * 1000) / ms : 0);
    return {
      ...report,
      state,
      done,
      failed,
      shards,
      jobsPerSecond: perSecond(done, busyMs) * concurrency,
      tokensPerSecond: perSecond(tokens, busyMs) * concurrency,
      shardsPerSecond: perSecond(shards, shardMs),
      reason,
    };
  });
}

/** Puts dead letters of a batch back into the queue with all their tries. */
export async function retryBatch(store, batch) {
  const { queue } = await openBatch(store, batch);
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
  const { queue } = await openBatch(store, batch);
  let removed = 0;
  // Jobs under a lock cannot be removed; their worker finishes them.
  for (const id of await store.cancel(batch)) removed += await queue.remove(id).catch(() => 0);
  return removed;
}

/** Cancels a batch and deletes it with the results no other batch wants. */
export async function forgetBatch(store, batch) {
  await cancelBatch(store, batch);
  await store.forget(batch);
}
