import { hostname } from "node:os";
import { DelayedError, UnrecoverableError } from "bullmq";
import { machines } from "./batches.mjs";
import { Engine } from "./engine.mjs";
import { evaluationQueue, requestQueue } from "./enqueue.mjs";
import { evaluate } from "./evaluations.mjs";
import { mebibytes, needOf, Room, roomFor } from "./memory.mjs";
import { findModel } from "./models.mjs";
import { canonical, FleetError, jobOf } from "./requests.mjs";
import { openStore } from "./store.mjs";

/** Every machine answers this before it takes jobs, so that one with other bits is found before it does harm. */
const probe = { prompt: "Once upon a time", max_tokens: 16, temperature: 0, seed: 1 };
/** ms until a job that does not fit this machine is offered again. */
const ELSEWHERE = 1000;

/**
 * Takes jobs for one model until closed. The model computes on a thread of its own.
 * @param {{ redis?: string, postgres?: string, prefix?: string, model: string, from?: string[], options?: object,
 *   name?: string, concurrency?: number, evaluations?: boolean, lock?: number, stalls?: number, timeout?: number,
 *   memory?: number, share?: string, log?: (line: string) => void }} settings `model`: what `loadModel` takes, or
 * `sha256:HASH`; `from`: machines to fetch that from; `name`: of the machine, default host and process; `concurrency`: jobs
 * at once, default 4; `evaluations`: take shards of evaluations too, one at a time (the model is in memory twice
 * meanwhile), default true; `lock`: ms after which a silent worker's jobs go to others, default 30000; `stalls`: how often
 * a job may lose its worker before it counts as dead, default 5; `timeout`: seconds per job, default 3600; `memory`: bytes
 * for the model and its jobs, default 90 % of the machine's; `share`: `HOST:PORT` where other machines can have the
 * model's file
 * @returns {Promise<{ name: string, fingerprint: string, closed: Promise<void>, close: () => Promise<void> }>} `close`:
 * takes no more jobs, finishes those begun; `closed` rejects when the machine was put out or its model failed
 * @throws FleetError for a machine that was put out, and for a model that does not fit or that nobody has
 */
export async function startWorker(settings) {
  const { options, concurrency = 4, evaluations = true, timeout, log = () => undefined } = settings;
  const name = settings.name ?? `${hostname()}-${process.pid}`;
  const store = await openStore(settings);
  let engine;
  const leave = async () => {
    await engine?.close();
    await store.close();
  };
  const count = { done: 0, failed: 0, tokens: 0, busyMs: 0, shards: 0, shardMs: 0 };
  let source;
  let props;
  let shared = {};
  try {
    source = await findModel(settings.model, { ...settings, store, log });
    engine = new Engine({ source, options, timeout });
    props = await engine.props();
    if (roomFor(props, settings.memory) <= 0)
      throw new FleetError(`The model does not fit: its weights take ${mebibytes(props.weight_bytes)}`);
    await admit(store, engine, props.system_fingerprint, name);
    if (settings.share) shared = await share(engine, settings.share);
  } catch (error) {
    await leave();
    throw error;
  }
  const queue = requestQueue(props.system_fingerprint);
  const shardQueue = evaluationQueue(props.model_fingerprint);
  const room = new Room(roomFor(props, settings.memory));

  let fail;
  const broken = new Promise((_, reject) => {
    fail = reject;
  });
  broken.catch(() => undefined);
  engine.failed.catch((error) => fail(error));

  const unneeded = async ({ id }) => !(await store.wanted(id)) || (await store.done([id]))[0];
  const keep = async ({ id }, bytes) => {
    const kept = await store.keep(id, bytes, name);
    if (kept === "kept" || kept === "equal") return true;
    const reason = (await store.machines()).find((machine) => machine.name === name)?.reason;
    fail(new FleetError(`Machine ${name} has been put out: ${reason}`));
    // The first result of the job stands if there is one; otherwise another machine has to compute it.
    if (kept === "out") throw new Error(`Machine ${name} has been put out`);
    return false;
  };
  const answer = async (job, token) => {
    if (await unneeded(job)) return;
    const need = needOf(props, job.data);
    if (need > room.bytes) await handOn(store, queue, job, token, need);
    const exit = await room.enter(need);
    try {
      const began = performance.now();
      const { bytes, tokens } = await engine.compute({ id: job.id, ...job.data });
      if (!(await keep(job, bytes))) return;
      count.done++;
      count.tokens += tokens;
      count.busyMs += performance.now() - began;
    } finally {
      exit();
    }
  };
  const shard = async (job) => {
    if (await unneeded(job)) return;
    const began = performance.now();
    const text = await evaluate(store, source, job.data, { threads: options?.threads });
    if (!(await keep(job, canonical({ status: 200, log: text })))) return;
    count.shards++;
    count.shardMs += performance.now() - began;
  };
  const { lock = 30000, stalls = 5 } = settings;
  const times = { lockDuration: lock, stalledInterval: lock, maxStalledCount: stalls };
  const workers = [store.worker(queue, answer, { ...times, concurrency })];
  if (evaluations) workers.push(store.worker(shardQueue, shard, times));
  for (const worker of workers) {
    worker.on("error", (error) => log(`queue: ${error.message}`));
    worker.on("failed", (job, error) => {
      count.failed++;
      log(`job ${job?.id} failed: ${error.message}`);
    });
  }

  const about = { queue, model: settings.model, concurrency, room: room.bytes, ...shared };
  if (evaluations) about.evaluations = shardQueue;
  const report = () => store.report(name, { ...about, ...count });
  await report();
  const timer = setInterval(() => report().catch(() => undefined), 1000);

  let closing;
  const close = () => {
    closing ??= (async () => {
      await Promise.all(workers.map((worker) => worker.close()));
      clearInterval(timer);
      await store.leave(name);
      await leave();
    })();
    return closing;
  };
  const ended = new Promise((resolve) => workers[0].once("closed", resolve));
  const closed = Promise.race([ended, broken]).finally(close);
  closed.catch(() => undefined);
  return { name, fingerprint: props.system_fingerprint, closed, close };
}

/**
 * Gives a job that does not fit this machine back to the queue, for one it fits.
 * @throws UnrecoverableError where there is none: the job becomes a dead letter
 */
async function handOn(store, queue, job, token, need) {
  const rooms = (await machines(store))
    .filter((machine) => machine.queue === queue && machine.state === "working")
    .map((machine) => machine.room);
  const largest = Math.max(0, ...rooms);
  if (largest < need)
    throw new UnrecoverableError(
      `It may need ${mebibytes(need)} for keys and values; the largest machine for this model has ${mebibytes(largest)}`,
    );
  await job.moveToDelayed(Date.now() + ELSEWHERE, token);
  throw new DelayedError();
}

/** @throws FleetError for a machine that was put out or answers the probe with other bytes than the first machine did */
async function admit(store, engine, fingerprint, name) {
  const job = jobOf(fingerprint, "/v1/completions", probe);
  const kept = await store.keep(job.id, (await engine.compute(job)).bytes, name);
  if (kept === "kept" || kept === "equal") return;
  const reason = (await store.machines()).find((machine) => machine.name === name)?.reason;
  throw new FleetError(
    `Machine ${name} has been put out: ${reason}. When it is mended: deltallm-fleet readmit ${name}`,
  );
}

/** Lets other machines have the model's file at `HOST:PORT`. */
async function share(engine, where) {
  const [, host, port] = /^\[?([\w.:-]+?)\]?:(\d{1,5})$/.exec(where) ?? [];
  if (host === undefined) throw new FleetError(`--share takes HOST:PORT, such as 192.168.1.5:9100, not ${where}`);
  const { port: taken, sha256 } = await engine.share(host, Number(port));
  if (sha256 === undefined) throw new FleetError("Only a model that is one GGUF file can be shared");
  return { address: `http://${host.includes(":") ? `[${host}]` : host}:${taken}`, sha256 };
}
