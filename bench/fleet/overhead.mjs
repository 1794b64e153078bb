// What the queue costs: the same requests by N workers over Redis, and by N processes without a queue (each its share), one
// thread each, four requests at once, in turn. Prints tokens per second, seconds of processor time (with Redis's own), and the
// ratios of each pair, as one JSON object. Beside other programs only the processor time says something.
// Usage: node bench/fleet/overhead.mjs [--model SOURCE] [--jobs N] [--rounds N] [--tokens N]
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import * as fleet from "../../fleet/src/index.mjs";
import { line, write } from "../../fleet/test/batch-files.mjs";
import { Bench, sleep } from "../../fleet/test/bench.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "embedded" },
    jobs: { type: "string", default: "40" },
    rounds: { type: "string", default: "3" },
    tokens: { type: "string", default: "150" },
    workers: { type: "string", default: "1,2,3" },
  },
});
const [jobs, rounds, tokens] = [values.jobs, values.rounds, values.tokens].map(Number);
const CONCURRENCY = 4;

for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(1));
const bench = await Bench.start("redis");
const store = await fleet.openStore(bench.settings);
const counts = values.workers.split(",").map(Number);
const result = [];
for (const count of counts) {
  const processes = await plainProcesses(count);
  for (let i = 0; i < count; i++)
    bench.startWorker(`w${i}`, "--model", values.model, "--load-options", '{"threads":1}', "--no-evaluations");
  while ((await fleet.machines(store)).filter(({ state }) => state === "working").length < count) await sleep(50);
  const fingerprint = (await fleet.machines(store))[0].queue.replace("jobs-", "");
  const samples = [];
  for (let round = 0; round < rounds; round++) {
    const lines = Array.from({ length: jobs * count }, (_, index) =>
      line(`${index}`, "/v1/completions", { prompt: `Day ${round} of ${index} in ${count}: once`, max_tokens: tokens }),
    );
    const turns = [plain, queued];
    if (round % 2) turns.reverse();
    const sample = {};
    for (const turn of turns) {
      const before = cpuSeconds(turn === plain ? processes : [...bench.workers.values(), bench.server.process]);
      sample[turn.name] = await turn({ lines, fingerprint, processes });
      const after = cpuSeconds(turn === plain ? processes : [...bench.workers.values(), bench.server.process]);
      sample[`${turn.name}Cpu`] = after - before;
    }
    samples.push(sample);
    console.error(count, sample);
  }
  for (const child of [...processes, ...bench.workers.values()]) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  bench.workers.clear();
  for (const { name } of await fleet.machines(store)) await store.leave(name);
  const middle = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const speed = middle(samples.map((sample) => sample.queued / sample.plain));
  const processorTime = middle(samples.map((sample) => sample.queuedCpu / sample.plainCpu));
  result.push({ workers: count, samples, speed, processorTime });
}
console.log(JSON.stringify({ model: values.model, jobs, tokens, result }, undefined, 1));
await store.close();
await bench.stop();

/** Seconds of processor time that processes have taken, from Linux. */
function cpuSeconds(processes) {
  return processes.reduce((sum, { pid }) => {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
    return sum + (Number(fields[11]) + Number(fields[12])) / 100;
  }, 0);
}

async function plainProcesses(count) {
  const processes = Array.from({ length: count }, () =>
    fork(new URL("./plain-process.mjs", import.meta.url), [values.model]),
  );
  await Promise.all(processes.map((child) => once(child, "message")));
  return processes;
}

/** Tokens per second without a queue. */
async function plain({ lines, fingerprint, processes }) {
  const all = lines.map(({ url, body }) => fleet.jobOf(fingerprint, url, body));
  const began = performance.now();
  const answers = processes.map(async (child, index) => {
    const share = all.filter((_, each) => each % processes.length === index);
    child.send({ jobs: share, concurrency: CONCURRENCY });
    const [{ tokens: written }] = await once(child, "message");
    return written;
  });
  const written = (await Promise.all(answers)).reduce((sum, each) => sum + each, 0);
  return (written * 1000) / (performance.now() - began);
}

/** Tokens per second from putting the first request in to the last result. */
async function queued({ lines, fingerprint }) {
  const input = write(bench, lines);
  const began = performance.now();
  const { batch } = await fleet.enqueue(store, { input, model: "unused", fingerprint });
  const ids = (await store.batch(batch)).items.map(([, id]) => id);
  for (let done = 0; done < ids.length; done = (await store.done(ids)).filter(Boolean).length) await sleep(20);
  const ms = performance.now() - began;
  const bodies = (await store.results(ids)).map((bytes) => JSON.parse(bytes).body);
  return (bodies.reduce((sum, { usage }) => sum + usage.completion_tokens, 0) * 1000) / ms;
}
