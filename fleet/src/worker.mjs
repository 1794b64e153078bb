import { hostname } from "node:os";
import { Worker } from "bullmq";
import { Redis } from "ioredis";
import { Engine } from "./engine.mjs";
import { FleetError, jobOf } from "./requests.mjs";
import { queueName, Store } from "./store.mjs";

/** Every machine answers this before it takes jobs, so that one with other bits is found before it does harm. */
const probe = { prompt: "Once upon a time", max_tokens: 16, temperature: 0, seed: 1 };

/**
 * Takes jobs for one model until closed. The model computes on a thread of its own.
 * @param {{ redis?: string, prefix?: string, model: string, options?: object, name?: string, concurrency?: number,
 *   lock?: number, stalls?: number, timeout?: number, log?: (line: string) => void }} settings `name`: of the machine,
 * default host and process; `concurrency`: jobs at once, default 4; `lock`: ms after which a silent worker's jobs go to
 * others, default 30000; `stalls`: how often a job may lose its worker before it counts as dead, default 5; `timeout`:
 * seconds per job, default 3600
 * @returns {Promise<{ fingerprint: string, closed: Promise<void>, close: () => Promise<void> }>} `close`: takes no more
 * jobs, finishes those begun; `closed` rejects when the machine was put out or its model failed
 * @throws FleetError for a machine that was put out
 */
export async function startWorker(settings) {
  const { model, options, concurrency = 4, lock = 30000, stalls = 5, timeout, log = () => undefined } = settings;
  const name = settings.name ?? `${hostname()}-${process.pid}`;
  const store = new Store(settings);
  const engine = new Engine({ source: model, options, parallel: concurrency, timeout });
  const leave = async () => {
    await engine.close();
    await store.close();
  };
  const count = { done: 0, failed: 0, busyMs: 0 };
  let fingerprint;
  try {
    fingerprint = await engine.fingerprint();
    await admit(store, engine, fingerprint, name);
  } catch (error) {
    await leave();
    throw error;
  }

  let fail;
  const broken = new Promise((_, reject) => {
    fail = reject;
  });
  broken.catch(() => undefined);
  engine.failed.catch((error) => fail(error));

  const compute = async (job) => {
    const began = performance.now();
    const wanted = await store.redis.scard(store.key("job", job.id, "batches"));
    if (wanted === 0 || (await store.done([job.id]))[0]) return;
    const kept = await store.keep(job.id, await engine.compute({ id: job.id, ...job.data }), name);
    if (kept === "differs" || kept === "out") {
      const reason = await store.redis.hget(store.key("out"), name);
      fail(new FleetError(`Machine ${name} has been put out: ${reason}`));
      // The first result of the job stands if there is one; otherwise another machine has to compute it.
      if (kept === "out") throw new Error(`Machine ${name} has been put out`);
      return;
    }
    count.done++;
    count.busyMs += performance.now() - began;
  };
  const connection = new Redis(settings.redis ?? "redis://127.0.0.1:6379", { maxRetriesPerRequest: null });
  connection.on("error", () => undefined);
  const worker = new Worker(queueName(fingerprint), compute, {
    connection,
    prefix: store.prefix,
    concurrency,
    lockDuration: lock,
    stalledInterval: lock,
    maxStalledCount: stalls,
  });
  worker.on("error", (error) => log(`queue: ${error.message}`));
  worker.on("failed", (job, error) => {
    count.failed++;
    log(`job ${job?.id} failed: ${error.message}`);
  });

  const machine = store.key("machine", name);
  const report = async () => {
    const about = { name, fingerprint, concurrency, ...count, seen: Date.now() };
    await store.redis.multi().hset(machine, about).pexpire(machine, 60000).sadd(store.key("machines"), name).exec();
  };
  await report();
  const timer = setInterval(() => report().catch(() => undefined), 1000);

  let closing;
  const close = () => {
    closing ??= (async () => {
      clearInterval(timer);
      await worker.close();
      await store.redis.multi().del(machine).srem(store.key("machines"), name).exec();
      connection.disconnect();
      await leave();
    })();
    return closing;
  };
  const ended = new Promise((resolve) => worker.once("closed", resolve));
  const closed = Promise.race([ended, broken]).finally(close);
  closed.catch(() => undefined);
  return { name, fingerprint, closed, close };
}

/** @throws FleetError for a machine that was put out or answers the probe with other bytes than the first machine did */
async function admit(store, engine, fingerprint, name) {
  const job = jobOf(fingerprint, "/v1/completions", probe);
  const kept = await store.keep(job.id, await engine.compute(job), name);
  if (kept === "kept" || kept === "equal") return;
  const reason = await store.redis.hget(store.key("out"), name);
  throw new FleetError(
    `Machine ${name} has been put out: ${reason}. When it is mended: deltallm-fleet readmit ${name}`,
  );
}
