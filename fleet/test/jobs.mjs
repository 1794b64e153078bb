import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fleet from "../src/index.mjs";
import { assertExact, complete, line, readLines, requests, singleMachine, write } from "./batch-files.mjs";
import { Bench, program, sleep } from "./bench.mjs";

const withBench = (kind, run) => async () => {
  const bench = await Bench.start(kind);
  const store = await fleet.openStore(bench.settings);
  try {
    await run(bench, store);
  } finally {
    await store.close();
    await bench.stop();
  }
};

/** Name and body of the tests of the queue that can be run here: all with Redis and with PostgreSQL. */
export function jobCases() {
  const places = [
    ["redis", "Redis", program("redis-server")],
    ["postgres", "PostgreSQL", program("postgres")],
  ];
  return places.flatMap(([kind, name, binary]) =>
    binary ? Object.entries(tests).map(([text, run]) => [`${text} (${name})`, withBench(kind, run)]) : [],
  );
}

const tests = {
  "A batch's answers are those of one machine, byte for byte": thinPath,
  "Status is told again and again until the batch is complete": watching,
  "A cancelled batch leaves the queue, what another batch wants stays": cancelling,
  "Urgent jobs go first": priorities,
  "Dead letters say why and can be tried again": dead,
  "A machine with other bits is named and put out": putOut,
  "A file that is no batch file is refused with the line": refused,
  "A job goes to a machine that it fits, or becomes a dead letter": memory,
  "A model comes from a machine that has it, by its hash": models,
  "A worker that is told to stop finishes what it has begun": draining,
};

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
  await sleep(1500);
  const status = await fleet.batchStatus(store, batch);
  assert.equal(status.secondsLeft, 0);
  const [machine] = await fleet.machines(store);
  assert.equal(machine.state, "working");
  assert.ok(machine.jobsPerSecond > 0 && machine.tokensPerSecond > 0, JSON.stringify(machine));
  const shown = bench.run("status");
  assert.match(shown.stdout, /20\/20 done, 0 failed, complete/);
  assert.match(shown.stdout, /^a +working +\d+ +0 +[\d.]+ +[\d.]+ .*embedded$/m);
  const output = join(bench.folder, "output.jsonl");
  const collected = bench.run("collect", batch, "--output", output);
  assert.equal(collected.status, 0, collected.stderr);
  await assertExact(lines, await singleMachine(lines, store, batch), output);
}

async function watching(bench, store) {
  const { batch } = await fleet.enqueue(store, { input: write(bench, requests(10)), model: "embedded" });
  const asText = bench.follow("status", batch, "--watch");
  const asJson = bench.follow("status", batch, "--watch", "--json");
  await sleep(2500);
  bench.startWorker("a");
  const text = await asText;
  assert.equal(text.status, 0);
  const told = text.stdout.match(/\d+\/10 done.*/g);
  assert.ok(told.length >= 2, text.stdout);
  assert.match(told[0], /^0\/10 done, 0 failed, 10 left, time left unknown/);
  assert.match(told.at(-1), /^10\/10 done, 0 failed, complete/);
  assert.equal(told.filter((each) => each.endsWith("complete")).length, 1);
  assert.ok(!text.stdout.includes("\x1b"), "not a terminal");
  const json = await asJson;
  const states = json.stdout
    .trim()
    .split("\n")
    .map((each) => JSON.parse(each).batches[0]);
  assert.equal(states.at(-1).complete, true);
  assert.ok(states.slice(0, -1).every(({ complete: isComplete }) => !isComplete));
}

async function cancelling(bench, store) {
  const lines = requests(20);
  const first = await fleet.enqueue(store, { input: write(bench, lines), model: "embedded" });
  const fingerprint = (await store.batch(first.batch)).queue.replace("jobs-", "");
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
  await assert.rejects(fleet.cancelBatch(store, first.batch), /There is no batch/);
}

async function priorities(bench, store) {
  const lines = requests(24);
  const late = write(bench, lines.slice(0, 18), "late.jsonl");
  const urgent = write(bench, lines.slice(18), "urgent.jsonl");
  const first = await fleet.enqueue(store, { input: late, model: "embedded" });
  const fingerprint = (await store.batch(first.batch)).queue.replace("jobs-", "");
  const second = await fleet.enqueue(store, { input: urgent, model: "embedded", fingerprint, priority: 1 });
  bench.startWorker("a", "--concurrency", "1");
  for (const end = Date.now() + 60_000; ; await sleep(20)) {
    const done = (await fleet.batchStatus(store, first.batch)).done;
    if ((await fleet.batchStatus(store, second.batch)).complete) break;
    assert.ok(done <= 1, `${done} jobs of the other batch went before`);
    assert.ok(Date.now() < end, bench.log);
  }
  await complete(store, first.batch, 60, bench);
}

async function dead(bench, store) {
  const lines = [
    ...requests(6),
    line("endless", "/v1/completions", { prompt: "Once", n: 128, max_tokens: 150, temperature: 0 }),
  ];
  const { batch } = await fleet.enqueue(store, { input: write(bench, lines), model: "embedded", backoff: 10 });
  const hasty = bench.startWorker("a", "--timeout", "2", "--concurrency", "1");
  await complete(store, batch, 60, bench);
  const [letter, ...rest] = await fleet.deadLetters(store, batch);
  assert.deepEqual(rest, []);
  assert.equal(letter.custom_id, "endless");
  assert.equal(letter.attempts, 3);
  assert.match(letter.reason, /took longer than 2 s/);
  assert.match(bench.run("dead", batch).stdout, /took longer than 2 s/);
  const output = join(bench.folder, "output.jsonl");
  await fleet.collect(store, batch, { output });
  assert.ok(readLines(`${output}.errors`).some(({ error }) => error?.code === "job_failed"));
  hasty.kill("SIGKILL");
  assert.equal(await fleet.retryBatch(store, batch), 1);
  bench.startWorker("b");
  await complete(store, batch, 120, bench);
  assert.equal((await fleet.batchStatus(store, batch)).done, 7);
}

async function putOut(bench, store) {
  assert.equal(await store.keep("job", "bytes", "a"), "kept");
  assert.equal(await store.keep("job", "bytes", "b"), "equal");
  assert.equal(await store.keep("job", "other", "c"), "differs");
  assert.equal(await store.keep("job2", "bytes", "c"), "out");
  assert.deepEqual(await store.results(["job", "job2"]), ["bytes", null]);
  const [machine] = await fleet.machines(store);
  assert.equal(machine.name, "c");
  assert.equal(machine.state, "out");
  assert.match(machine.reason, /result job differs from that of a/);
  const [code] = await once(bench.startWorker("c"), "exit");
  assert.equal(code, 1);
  assert.match(bench.log, /Machine c has been put out/);
  bench.run("readmit", "c");
  bench.startWorker("c");
  for (let tries = 0; (await fleet.machines(store))[0]?.state !== "working"; tries++) {
    assert.ok(tries < 100, bench.log);
    await sleep(100);
  }
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

async function memory(bench, store) {
  const large = { prompt: "Once upon a time", n: 16, max_tokens: 900 };
  const lines = [...requests(5), line("large", "/v1/completions", large)];
  const { batch } = await fleet.enqueue(store, { input: write(bench, lines), model: "embedded", backoff: 10 });
  bench.startWorker("small", "--memory", "90");
  await complete(store, batch, 60, bench);
  const [letter] = await fleet.deadLetters(store, batch);
  assert.equal(letter.custom_id, "large");
  assert.match(
    letter.reason,
    /It may need \d+ MiB for keys and values; the largest machine for this model has 2\d MiB/,
  );
  bench.startWorker("large");
  for (let tries = 0; (await fleet.machines(store)).length < 2; tries++) {
    assert.ok(tries < 100, bench.log);
    await sleep(100);
  }
  await fleet.retryBatch(store, batch);
  await complete(store, batch, 60, bench);
  assert.equal((await fleet.batchStatus(store, batch)).done, 6);
  const none = bench.startWorker("none", "--memory", "10");
  const [code] = await once(none, "exit");
  assert.equal(code, 1);
  assert.match(bench.log, /The model does not fit/);
}

async function models(bench, store) {
  bench.env = { HF_HUB_CACHE: join(bench.folder, "cache"), HF_HOME: join(bench.folder, "home") };
  mkdirSync(bench.env.HF_HUB_CACHE);
  bench.startWorker("a", "--share", "127.0.0.1:0");
  let first;
  for (let tries = 0; !first; tries++) {
    assert.ok(tries < 100, bench.log);
    await sleep(100);
    [first] = await fleet.machines(store);
  }
  const { createHash } = await import("node:crypto");
  const weights = new URL(import.meta.resolve("deltallm/story.gguf"));
  assert.equal(first.sha256, createHash("sha256").update(readFileSync(weights)).digest("hex"));
  for (const path of ["/v1/models", "/files/x", `/files/${"0".repeat(64)}`])
    assert.equal((await fetch(first.address + path)).status, 404, path);
  const none = bench.startWorker("none", "--model", `sha256:${"0".repeat(64)}`);
  assert.equal((await once(none, "exit"))[0], 1);
  assert.match(bench.log, /No machine shares the model/);
  const model = `sha256:${first.sha256}`;
  const lines = requests(5);
  const { batch } = await fleet.enqueue(store, { input: write(bench, lines), model: "embedded" });
  await complete(store, batch, 60, bench);
  bench.startWorker("b", "--model", model);
  for (let tries = 0; (await fleet.machines(store)).length < 2; tries++) {
    assert.ok(tries < 100, bench.log);
    await sleep(100);
  }
  assert.match(bench.log, /b: fetching the model from http:\/\/127/);
  // Now it has the file: nobody is needed any more.
  for (const worker of bench.workers.values()) worker.kill("SIGKILL");
  bench.startWorker("c", "--model", model);
  const more = requests(7);
  const second = await fleet.enqueue(store, { input: write(bench, more), model: "embedded" });
  await complete(store, second.batch, 60, bench);
  // A machine that gives other bytes is no source.
  const http = await import("node:http");
  const liar = http.createServer((_, response) => response.end("GGUF and other bytes")).listen(0, "127.0.0.1");
  await once(liar, "listening");
  bench.env = { HF_HUB_CACHE: join(bench.folder, "other"), HF_HOME: join(bench.folder, "other-home") };
  const from = `http://127.0.0.1:${liar.address().port}`;
  bench.workers.get("c").kill("SIGKILL");
  const cheated = bench.startWorker("d", "--model", model, "--from", from);
  assert.equal((await once(cheated, "exit"))[0], 1);
  assert.match(bench.log, /d: The model [\da-f]{64} could not be had from any machine/);
  liar.close();
}

async function draining(bench, store) {
  const lines = requests(30);
  for (const { url, body } of lines) if (url !== "/v1/embeddings" && body.max_tokens > 0) body.max_tokens = 300;
  const { batch } = await fleet.enqueue(store, { input: write(bench, lines), model: "embedded" });
  const worker = bench.startWorker("a", "--concurrency", "2");
  for (let tries = 0; (await fleet.batchStatus(store, batch)).done < 2; tries++) {
    assert.ok(tries < 300, bench.log);
    await sleep(50);
  }
  worker.kill("SIGTERM");
  const [code] = await once(worker, "exit");
  assert.equal(code, 0, bench.log);
  const queue = store.queue((await store.batch(batch)).queue);
  assert.equal(await queue.getActiveCount(), 0, "no job is left behind");
  const { done } = await fleet.batchStatus(store, batch);
  assert.ok(done < 30, "jobs are left");
  assert.deepEqual(await fleet.machines(store), []);
  bench.startWorker("b");
  await complete(store, batch, 60, bench);
}
