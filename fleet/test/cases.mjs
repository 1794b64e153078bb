import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createHandler } from "deltallm/server";
import * as fleet from "../src/index.mjs";
import { canonical, settled } from "../src/requests.mjs";
import { Bench, program, sleep } from "./redis.mjs";
import { routerCases } from "./routers.mjs";

/** Requests of all three kinds, some of them equal, one that is refused. */
function requests(count) {
  return Array.from({ length: count }, (_, index) => {
    const kind = index % 5;
    const text = `Story ${index % (count - 3)}: once upon a time there was`;
    const custom_id = `request-${index}`;
    if (index === 7) return line(custom_id, "/v1/completions", { prompt: text, max_tokens: -1 });
    if (kind === 0) return line(custom_id, "/v1/embeddings", { input: text });
    if (kind < 3) return line(custom_id, "/v1/completions", { prompt: text, max_tokens: 40 });
    const messages = [{ role: "user", content: text }];
    return line(custom_id, "/v1/chat/completions", {
      messages,
      max_tokens: 40,
      ...(kind === 4 ? { seed: index } : {}),
    });
  });
}
const line = (custom_id, url, body) => ({ custom_id, method: "POST", url, body: { model: "story", ...body } });

function write(bench, lines) {
  const path = join(bench.folder, "input.jsonl");
  writeFileSync(path, lines.map((each) => `${JSON.stringify(each)}\n`).join(""));
  return path;
}

const readLines = (path) =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((text) => JSON.parse(text));

/** What one machine answers to every request, one after the other. */
async function singleMachine(lines, fingerprint) {
  const handler = createHandler({ models: { story: { source: "embedded" } } });
  const answers = new Map();
  for (const { custom_id, url, body } of lines) {
    const job = fleet.jobOf(fingerprint, url, body);
    const request = new Request(`http://localhost${url}`, { method: "POST", body: JSON.stringify(job.body) });
    const response = await handler(request);
    answers.set(custom_id, canonical({ status: response.status, body: settled(job, await response.json()) }));
  }
  await handler.close();
  return answers;
}

async function complete(store, batch, seconds, bench) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(300))
    if ((await fleet.batchStatus(store, batch)).complete) return;
  throw new Error(`Not complete: ${JSON.stringify(await fleet.batchStatus(store, batch))}\n${bench.log}`);
}

/** Every request exactly once, in the file's order, with the bytes of the single machine. */
async function assertExact(lines, expected, output, errors) {
  const all = [...readLines(output), ...readLines(errors)];
  assert.equal(all.length, lines.length);
  assert.equal(new Set(all.map(({ custom_id }) => custom_id)).size, lines.length);
  for (const { custom_id, response } of all)
    assert.equal(canonical({ status: response.status_code, body: response.body }), expected.get(custom_id), custom_id);
}

const withBench = (binary, run) => async () => {
  const bench = await Bench.start(binary);
  const store = new fleet.Store({ redis: bench.address });
  try {
    await run(bench, store);
  } finally {
    await store.close();
    await bench.stop();
  }
};

/** Name and body of every test that can be run here. */
export async function cases() {
  const redis = program("redis-server");
  if (!redis) return routerCases();
  return [
    ["A batch's answers are those of one machine, byte for byte", withBench(redis, thinPath)],
    ["A cancelled batch leaves the queue, what another batch wants stays", withBench(redis, cancelling)],
    ["Dead letters say why and can be tried again", withBench(redis, dead)],
    ["A machine with other bits is named and put out", withBench(redis, putOut)],
    ["A file that is no batch file is refused with the line", withBench(redis, refused)],
    ["Workers killed and stopped and a Redis restarted lose and double nothing", withBench(redis, faults)],
    ...routerCases(),
  ];
}

async function thinPath(bench, store) {
  const lines = requests(20);
  const input = write(bench, lines);
  bench.startWorker("a");
  const { batch, total, jobs } = await fleet.enqueue(store, { input, model: "embedded" });
  assert.equal(total, 20);
  assert.ok(jobs <= 20);
  const again = await fleet.enqueue(store, { input, model: "embedded" });
  assert.equal(again.batch, batch);
  await complete(store, batch, 60, bench);
  const output = join(bench.folder, "output.jsonl");
  const collected = bench.run("collect", batch, "--output", output);
  assert.equal(collected.status, 0, collected.stderr);
  const { fingerprint } = await store.redis.hgetall(store.key("batch", batch));
  await assertExact(lines, await singleMachine(lines, fingerprint), output, `${output}.errors`);
  const worker = bench.workers.get("a");
  worker.kill("SIGTERM");
  const [code] = await once(worker, "exit");
  assert.equal(code, 0, bench.log);
}

async function faults(bench, store) {
  const lines = requests(120);
  for (const { url, body } of lines) if (url !== "/v1/embeddings" && body.max_tokens > 0) body.max_tokens = 300;
  const input = write(bench, lines);
  const names = ["a", "b", "c"];
  const { batch } = await fleet.enqueue(store, { input, model: "embedded", backoff: 100 });
  for (const name of names) bench.startWorker(name, "--concurrency", "2", "--stalls", "50");
  const happened = { killed: 0, stopped: 0, restarted: 0 };
  for (let round = 0; round < 8; round++) {
    await sleep(500 + Math.random() * 1000);
    if ((await fleet.batchStatus(store, batch)).complete) break;
    const name = names[Math.floor(Math.random() * names.length)];
    const child = bench.workers.get(name);
    if (round % 2 === 0) {
      child.kill("SIGKILL");
      bench.startWorker(name, "--concurrency", "2", "--stalls", "50");
      happened.killed++;
    } else {
      // Longer than the lock: others take its jobs over, and it brings second results when it goes on.
      child.kill("SIGSTOP");
      setTimeout(() => child.kill("SIGCONT"), 5000);
      happened.stopped++;
    }
    if (round === 3) {
      await bench.restartRedis();
      happened.restarted++;
    }
  }
  await complete(store, batch, 120, bench);
  console.log(`     ${JSON.stringify(happened)}`);
  const output = join(bench.folder, "output.jsonl");
  await fleet.collect(store, batch, { output });
  const { fingerprint } = await store.redis.hgetall(store.key("batch", batch));
  await assertExact(lines, await singleMachine(lines, fingerprint), output, `${output}.errors`);
  assert.deepEqual(await store.redis.hgetall(store.key("out")), {});
}

async function cancelling(bench, store) {
  const lines = requests(20);
  const first = await fleet.enqueue(store, { input: write(bench, lines), model: "embedded" });
  const { fingerprint } = await store.redis.hgetall(store.key("batch", first.batch));
  const second = await fleet.enqueue(store, { input: write(bench, lines.slice(0, 5)), model: "unused", fingerprint });
  assert.notEqual(first.batch, second.batch);
  const removed = await fleet.cancelBatch(store, first.batch);
  assert.equal(removed, first.jobs - second.jobs);
  bench.startWorker("a");
  await complete(store, second.batch, 60, bench);
  const output = join(bench.folder, "output.jsonl");
  const { answers, errors } = await fleet.collect(store, first.batch, { output });
  assert.equal(answers + errors, 20);
  assert.ok(readLines(`${output}.errors`).every(({ error }) => error.code === "batch_cancelled"));
  await fleet.forgetBatch(store, first.batch);
  assert.deepEqual(await fleet.listBatches(store), [second.batch]);
  assert.equal((await fleet.batchStatus(store, second.batch)).done, 5);
}

async function dead(bench, store) {
  const lines = requests(10);
  const { batch } = await fleet.enqueue(store, { input: write(bench, lines), model: "embedded", backoff: 10 });
  const { fingerprint } = await store.redis.hgetall(store.key("batch", batch));
  const broken = store.key("job", fleet.jobOf(fingerprint, lines[1].url, lines[1].body).id, "batches");
  await store.redis.set(broken, "no set");
  bench.startWorker("a");
  await complete(store, batch, 60, bench);
  const [letter, ...rest] = await fleet.deadLetters(store, batch);
  assert.deepEqual(rest, []);
  assert.equal(letter.custom_id, "request-1");
  assert.equal(letter.attempts, 3);
  assert.match(letter.reason, /WRONGTYPE/);
  const output = join(bench.folder, "output.jsonl");
  await fleet.collect(store, batch, { output });
  assert.ok(readLines(`${output}.errors`).some(({ error }) => error?.code === "job_failed"));
  await store.redis.del(broken);
  await store.redis.sadd(broken, batch);
  assert.equal(await fleet.retryBatch(store, batch), 1);
  await complete(store, batch, 60, bench);
  assert.equal((await fleet.batchStatus(store, batch)).done, 10);
}

async function putOut(bench, store) {
  assert.equal(await store.keep("job", "bytes", "a"), "kept");
  assert.equal(await store.keep("job", "bytes", "b"), "equal");
  assert.equal(await store.keep("job", "other", "c"), "differs");
  assert.equal(await store.keep("job2", "bytes", "c"), "out");
  assert.deepEqual(await store.results(["job", "job2"]), ["bytes", null]);
  const [machine] = await fleet.machines(store);
  assert.equal(machine.name, "c");
  assert.match(machine.reason, /result job differs from that of a/);
  const [code] = await once(bench.startWorker("c"), "exit");
  assert.equal(code, 1);
  assert.match(bench.log, /Machine c has been put out/);
}

async function refused(bench, store) {
  const good = JSON.stringify(requests(5)[1]);
  const cases = [
    ["{", /line 2 is not JSON/],
    [good, /line 2: custom_id "request-1" was there before/],
    [JSON.stringify(line("x", "/v1/files", {})), /line 2 asks POST \/v1\/files/],
    [JSON.stringify(line("x", "/v1/completions", { stream: true })), /line 2 asks for a stream/],
    [JSON.stringify(line("x", "/v1/completions", { model: "other" })), /make one file per model/],
  ];
  for (const [bad, message] of cases) {
    const input = join(bench.folder, "bad.jsonl");
    writeFileSync(input, `${good}\n${bad}\n`);
    await assert.rejects(fleet.enqueue(store, { input, model: "embedded" }), message);
  }
  assert.deepEqual(await fleet.listBatches(store), []);
}
