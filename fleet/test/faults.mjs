import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import * as fleet from "../src/index.mjs";
import { assertExact, complete, requests, singleMachine, write } from "./batch-files.mjs";
import { Bench, program, sleep } from "./bench.mjs";

/** DELTALLM_FLEET_FULL=1: the size that is reported in docs/fleet.md. */
const full = process.env.DELTALLM_FLEET_FULL === "1";
const sizes = full
  ? { jobs: 2000, tokens: 60, moments: 20, restarts: 2, rows: 60, shards: 8, seconds: 3000 }
  : { jobs: 100, tokens: 150, moments: 6, restarts: 1, rows: 8, shards: 3, seconds: 900 };
/** ms. Workers are stopped for longer, so that others take their jobs. */
const LOCK = 3000;
/** One thread per worker: three workers share the cores. */
const threads = ["--load-options", '{"threads":1}'];
const workerWords = ["--concurrency", "4", "--lock", String(LOCK), "--stalls", "100", ...threads];

export function faultCases() {
  const kinds = [
    ["redis", "Redis", program("redis-server")],
    ["postgres", "PostgreSQL", program("postgres")],
  ];
  return kinds.flatMap(([kind, name, binary]) =>
    binary
      ? [
          [
            `Workers killed and stopped and a ${name} restarted lose and double nothing: ${sizes.jobs} requests and a sweep`,
            () => faults(kind),
          ],
        ]
      : [],
  );
}

async function faults(kind) {
  const bench = await Bench.start(kind);
  const store = await fleet.openStore(bench.settings);
  const timers = [];
  try {
    const lines = requests(sizes.jobs, sizes.tokens);
    const { batch, jobs } = await fleet.enqueue(store, { input: write(bench, lines), model: "embedded", backoff: 100 });
    const words = evaluationWords(bench);
    const sweep = await fleet.enqueueEvaluation(store, {
      model: "embedded",
      words,
      shards: sizes.shards,
      backoff: 100,
    });
    assert.equal(sweep.total, 3 * sizes.shards);
    const names = ["a", "b", "c"];
    for (const name of names) bench.startWorker(name, ...workerWords);
    for (let tries = 0; (await fleet.batchStatus(store, batch)).done === 0; tries++) {
      assert.ok(tries < 300, bench.log);
      await sleep(100);
    }
    const began = Date.now();
    const happened = { killed: 0, stopped: 0, restarted: 0 };
    const restartAt = Array.from({ length: sizes.restarts }, (_, i) =>
      Math.floor(((i + 1) * sizes.moments) / (sizes.restarts + 1)),
    );
    for (let moment = 0; moment < sizes.moments; moment++) {
      await sleep(500 + Math.random() * 1500);
      if ((await fleet.batchStatus(store, batch)).complete) break;
      const name = names[Math.floor(Math.random() * names.length)];
      const child = bench.workers.get(name);
      if (Math.random() < 0.5) {
        child.kill("SIGKILL");
        bench.startWorker(name, ...workerWords);
        happened.killed++;
      } else {
        child.kill("SIGSTOP");
        timers.push(setTimeout(() => child.kill("SIGCONT"), 2 * LOCK + Math.random() * LOCK));
        happened.stopped++;
      }
      if (restartAt.includes(moment)) {
        await bench.restartServer();
        happened.restarted++;
      }
    }
    await complete(store, batch, sizes.seconds, bench);
    await complete(store, sweep.batch, sizes.seconds, bench);
    const seconds = (Date.now() - began) / 1000;
    console.log(`     ${JSON.stringify({ ...happened, jobs, shards: sweep.jobs, seconds: Math.round(seconds) })}`);
    if (full) assert.equal(happened.killed + happened.stopped, sizes.moments, "it was over too early");
    const output = join(bench.folder, "output.jsonl");
    await fleet.collect(store, batch, { output });
    await assertExact(lines, await singleMachine(lines, store, batch), output);
    await assertSameSweep(bench, store, sweep.batch, words);
    assert.deepEqual(
      (await fleet.machines(store)).filter(({ state }) => state === "out"),
      [],
    );
  } finally {
    timers.forEach(clearTimeout);
    await store.close();
    await bench.stop();
  }
}

/** Options of a sweep over rows and a text of the tests' own. */
function evaluationWords(bench) {
  const data = join(bench.folder, "data");
  mkdirSync(data);
  const rows = Array.from({ length: sizes.rows }, (_, index) => ({
    query: `Once upon a time there were ${index + 2} little girls. They`,
    choices: ["went to the park and played with a ball.", `said ${index} and the the of.`],
    gold: index % 2,
  }));
  writeFileSync(join(data, "piqa.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const text = join(bench.folder, "story.txt");
  writeFileSync(text, "The sun was warm. Lily and Tom ran to the big tree and saw a small bird. ".repeat(sizes.rows));
  const tasks = ["--data", data, "--text", text, "--tasks", "piqa,perplexity", "--text-window=128"];
  return [...tasks, "--sweep", "threshold=0.3,0.6"];
}

/** The collected logs are what one machine's sweep writes, and that sweep takes them for its own. */
async function assertSameSweep(bench, store, batch, words) {
  const [single, collected] = ["single", "collected"].map((name) => join(bench.folder, name));
  const evaluate = (out) => cli("eval", "-m", "embedded", ...words, "--threads", "1", "--out", out);
  const alone = evaluate(single);
  const { logs } = await fleet.collect(store, batch, { output: collected });
  assert.equal(logs.length, 3);
  for (const log of logs) assert.equal(records(log), records(log.replace(collected, single)), log);
  const again = evaluate(collected);
  assert.match(again.stderr, /examples are done already/);
  // Scores are the same; what attention did is a mean over shards, and is rounded in the report.
  assert.deepEqual(scores(again.stdout), scores(alone.stdout));
}

/** A log without its lines about what attention did, which are one per process. */
const records = (path) =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter((text) => !text.startsWith('{"run"'))
    .join("\n");
/** Names and scores of the report's table. */
const scores = (report) =>
  report
    .split("\n")
    .filter((text) => text.startsWith("|"))
    .map((text) => [text.split("|")[1], ...text.split("|").slice(6)].join("|"));

function cli(...words) {
  const require = createRequire(import.meta.url);
  const about = require.resolve("deltallm/package.json");
  const main = resolve(about, "..", require(about).bin.deltallm);
  const ended = spawnSync(process.execPath, [main, ...words], { encoding: "utf8" });
  assert.equal(ended.status, 0, ended.stderr);
  return ended;
}
