// The simulation of capacity.mjs beside a real run: so many workers on this machine, jobs of the model in the package, over
// Redis. The simulation gets what the workers report a job to take (they share this machine's cores), and says how many jobs
// per second the queue makes of that. Prints both, and their ratio.
// Usage: node bench/fleet/check-capacity.mjs [--machines N] [--jobs N] [--tokens N]
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as fleet from "../../fleet/src/index.mjs";
import { line, write } from "../../fleet/test/batch-files.mjs";
import { Bench, sleep } from "../../fleet/test/bench.mjs";

const { values } = parseArgs({
  options: {
    machines: { type: "string", default: "3" },
    jobs: { type: "string", default: "240" },
    tokens: { type: "string", default: "100" },
  },
});
const [machines, jobs, tokens] = [values.machines, values.jobs, values.tokens].map(Number);
const CONCURRENCY = 4;
const bench = await Bench.start("redis");
const store = await fleet.openStore(bench.settings);
for (let i = 0; i < machines; i++) bench.startWorker(`w${i}`, "--load-options", '{"threads":1}', "--no-evaluations");
const working = async () => (await fleet.machines(store)).filter(({ state }) => state === "working");
while ((await working()).length < machines) await sleep(50);
const fingerprint = (await working())[0].queue.replace("jobs-", "");

const input = write(
  bench,
  Array.from({ length: jobs }, (_, index) =>
    line(`${index}`, "/v1/completions", { prompt: `Story ${index}: once`, max_tokens: tokens, seed: index }),
  ),
);
const began = performance.now();
const { batch } = await fleet.enqueue(store, { input, model: "unused", fingerprint });
while (!(await fleet.batchStatus(store, batch)).complete) await sleep(50);
const seconds = (performance.now() - began) / 1000;
// Workers report every second.
await sleep(1500);
const reports = await working();
const sum = (name) => reports.reduce((total, report) => total + report[name], 0);
const jobSeconds = sum("busyMs") / sum("done") / 1000;
await store.close();
await bench.stop();

const words = { machines, concurrency: CONCURRENCY, jobs: jobs / machines, "job-seconds": jobSeconds };
const script = fileURLToPath(new URL("./capacity.mjs", import.meta.url));
const options = Object.entries(words).flatMap(([name, value]) => [`--${name}`, String(value)]);
const [simulated] = JSON.parse(execFileSync(process.execPath, [script, ...options, "--json"], { encoding: "utf8" }));
const measured = jobs / seconds;
const ratio = measured / simulated.jobsPerSecond;
console.log(
  JSON.stringify({ machines, jobs, jobSeconds, measured, simulated: simulated.jobsPerSecond, ratio }, undefined, 1),
);
