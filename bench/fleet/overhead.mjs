// What the queue costs: the same requests through N workers over Redis, through N processes that are handed them without a
// queue (what remains is the queue's), and, for more than one, through one process with two threads. Four requests at once
// per worker, one thread each. The sides take turns, the order changes from round to round; speeds are tokens per second by
// the clock, from the first request put in to the last result. Prints ratios (medians of the rounds) as one JSON object.
// Usage: node bench/fleet/overhead.mjs [--model SOURCE] [--jobs N] [--rounds N] [--tokens N] [--workers 1,2,3]
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import * as fleet from "../../fleet/src/index.mjs";
import { line, write } from "../../fleet/test/batch-files.mjs";
import { Bench, sleep } from "../../fleet/test/bench.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "embedded" },
    jobs: { type: "string", default: "16" },
    rounds: { type: "string", default: "3" },
    tokens: { type: "string", default: "64" },
    workers: { type: "string", default: "1,2,3" },
  },
});
const [jobs, rounds, tokens] = [values.jobs, values.rounds, values.tokens].map(Number);
const { QueueEvents } = createRequire(new URL("../../fleet/package.json", import.meta.url))("bullmq");
const CONCURRENCY = 4;
const topics = "the sea,a bridge,bread,winter,a clock,the moon,a garden,trains,gold,a letter,wind,a school".split(",");

for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(1));
const bench = await Bench.start("redis");
const store = await fleet.openStore(bench.settings);
// As workers are started by users; tests have shorter locks.
const usual = ["--no-evaluations", "--lock", "30000"];
const result = [];
for (const count of values.workers.split(",").map(Number)) {
  for (let i = 0; i < count; i++)
    bench.startWorker(`w${i}`, "--model", values.model, "--load-options", '{"threads":1}', ...usual);
  while ((await fleet.machines(store)).filter(({ state }) => state === "working").length < count) await sleep(50);
  const fingerprint = (await fleet.machines(store))[0].queue.replace("jobs-", "");
  const connection = { host: "127.0.0.1", port: Number(new URL(bench.settings.redis).port) };
  const events = new QueueEvents(`jobs-${fingerprint}`, { connection, prefix: "deltallm" });
  await events.waitUntilReady();
  const workers = { processes: [...bench.workers.values(), bench.server.process], run: queued };
  const plain = { processes: await Promise.all(Array.from({ length: count }, () => started(1))), run: handed };
  const sides = { queued: workers, plain };
  if (count > 1) sides.threads = { processes: [await started(2)], run: handed, concurrency: CONCURRENCY * count };

  const samples = [];
  // The first round warms everything up and is not counted.
  for (let round = 0; round <= rounds; round++) {
    const lines = Array.from({ length: jobs * count }, (_, index) => {
      const topic = topics[index % topics.length];
      const prompt = `Story ${round} in ${count}, part ${index}: here is what can be told about ${topic}.`;
      // Lengths differ, as they do in life: from half to one and a half of the mean.
      const most = Math.round(tokens * (0.5 + ((index * 5) % 8) / 7));
      return line(`${index}`, "/v1/completions", { prompt, max_tokens: most, temperature: 1, seed: index });
    });
    const sample = {};
    const names = Object.keys(sides);
    const order = [...names.slice(round % names.length), ...names.slice(0, round % names.length)];
    for (const name of order) {
      const { processes, run, concurrency } = sides[name];
      const before = cpuSeconds(processes);
      sample[name] = await run({ lines, fingerprint, processes, concurrency, events });
      sample[`${name}Cpu`] = cpuSeconds(processes) - before;
    }
    if (round > 0) samples.push(sample);
    console.error(count, sample);
  }
  for (const child of [...bench.workers.values(), ...plain.processes, ...(sides.threads?.processes ?? [])]) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  bench.workers.clear();
  await events.close();
  for (const { name } of await fleet.machines(store)) await store.leave(name);
  const ratio = (name, other) => median(samples.map((sample) => sample[name] / sample[other]));
  result.push({
    workers: count,
    samples,
    speed: ratio("queued", "plain"),
    processorTime: ratio("queuedCpu", "plainCpu"),
    ...(count > 1 && { againstThreads: ratio("queued", "threads") }),
  });
}
console.log(JSON.stringify({ model: values.model, jobs, tokens, result }, undefined, 1));
await store.close();
await bench.stop();

function median(numbers) {
  const sorted = numbers.sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** Seconds of processor time that processes have taken, from Linux. */
function cpuSeconds(processes) {
  return processes.reduce((sum, { pid }) => {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
    return sum + (Number(fields[11]) + Number(fields[12])) / 100;
  }, 0);
}

async function started(threads) {
  const child = fork(new URL("./plain-process.mjs", import.meta.url), [values.model, String(threads)]);
  await once(child, "message");
  return child;
}

/** Tokens per second of processes that are handed one request after the other. */
async function handed({ lines, fingerprint, processes, concurrency = CONCURRENCY }) {
  const began = performance.now();
  const waiting = lines.map(({ url, body }) => fleet.jobOf(fingerprint, url, body));
  const written = processes.map(
    (child) =>
      new Promise((resolve) => {
        const listener = (message) => {
          if (message === "more") return child.send({ job: waiting.shift() });
          child.off("message", listener);
          resolve(message.tokens);
        };
        child.on("message", listener).send({ concurrency });
      }),
  );
  const sum = (await Promise.all(written)).reduce((total, each) => total + each, 0);
  return (sum * 1000) / (performance.now() - began);
}

/** Tokens per second through the queue. Asking whether it is done would slow it down: the queue tells. */
async function queued({ lines, fingerprint, events }) {
  const input = write(bench, lines);
  let left = lines.length;
  const over = new Promise((resolve) => {
    const listener = () => {
      if (--left > 0) return;
      events.off("completed", listener);
      resolve();
    };
    events.on("completed", listener);
  });
  const began = performance.now();
  const { batch } = await fleet.enqueue(store, { input, model: "unused", fingerprint });
  await over;
  const ms = performance.now() - began;
  const ids = (await store.batch(batch)).items.map(([, id]) => id);
  const bodies = (await store.results(ids)).map((bytes) => JSON.parse(bytes).body);
  return (bodies.reduce((sum, { usage }) => sum + usage.completion_tokens, 0) * 1000) / ms;
}
