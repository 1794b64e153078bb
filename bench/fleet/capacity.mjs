// What a fleet of N machines can do, from figures of one machine: a simulation of the queue, job by job. Every machine
// computes `concurrency` jobs at once; a job's time is drawn around the mean; every job costs the store some time, which it
// spends on one job after the other. Prints a Markdown table, or with `--json` one object.
// Usage: node bench/fleet/capacity.mjs [--job-seconds S] [--concurrency N] [--store-us US] [--machines 1,10,1000] [--jobs N]
import { parseArgs } from "node:util";

/** Measured with Redis 7.0 (INFO commandstats): bytes that go over its network for a job of a short prompt and answer. */
const BYTES_PER_JOB = 5800;
/** The same, of a worker that waits: its reports, and asking for stalled jobs. */
const IDLE_US_PER_SECOND = 104;

/**
 * @param {{ machines: number, jobs: number, jobSeconds: number, concurrency: number, storeUs: number }} fleet
 *   `jobSeconds`: of one job where `concurrency` are computed at once; `storeUs`: microseconds of the store per job
 * @returns {{ seconds: number, jobsPerSecond: number, efficiency: number, storeBusy: number, megabits: number }}
 *   `efficiency`: of what the machines could do; `storeBusy`: share of one core of the store
 */
export function simulate({ machines, jobs, jobSeconds, concurrency, storeUs }) {
  const places = machines * concurrency;
  const background = (machines * IDLE_US_PER_SECOND) / 1e6;
  // What is left of the store for jobs; it takes them one after the other.
  const service = (storeUs / 1e6 / Math.max(1e-9, 1 - background)) * 0.5;
  const ends = new Heap();
  for (let place = 0; place < places; place++) ends.push(0);
  let storeFree = 0;
  let last = 0;
  let state = 1;
  for (let job = 0; job < jobs; job++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const asked = ends.pop();
    storeFree = Math.max(storeFree, asked) + service;
    // Half of the time gives the job out, half takes the result.
    const computed = storeFree + jobSeconds * (0.5 + state / 2 ** 32);
    ends.push(computed + service);
    storeFree += service;
    last = Math.max(last, computed + service);
  }
  const jobsPerSecond = jobs / last;
  return {
    seconds: last,
    jobsPerSecond,
    efficiency: jobsPerSecond / Math.min(places / jobSeconds, jobs / jobSeconds),
    storeBusy: background + (jobsPerSecond * storeUs) / 1e6,
    megabits: (jobsPerSecond * BYTES_PER_JOB * 8) / 1e6,
  };
}

/** Numbers, the smallest first. */
class Heap {
  #values = [];
  push(value) {
    const values = this.#values;
    let at = values.push(value) - 1;
    for (let up = (at - 1) >> 1; at > 0 && values[up] > value; up = (at - 1) >> 1) {
      values[at] = values[up];
      at = up;
    }
    values[at] = value;
  }
  pop() {
    const values = this.#values;
    const [first] = values;
    const value = values.pop();
    if (values.length === 0) return first;
    let at = 0;
    for (let down = 1; down < values.length; down = 2 * at + 1) {
      if (down + 1 < values.length && values[down + 1] < values[down]) down++;
      if (values[down] >= value) break;
      values[at] = values[down];
      at = down;
    }
    values[at] = value;
    return first;
  }
}

const { values } = parseArgs({
  options: {
    "job-seconds": { type: "string", default: "53" },
    concurrency: { type: "string", default: "4" },
    "store-us": { type: "string", default: "320" },
    machines: { type: "string", default: "1,10,1000" },
    jobs: { type: "string", default: "100" },
    json: { type: "boolean", default: false },
  },
});
const rows = values.machines.split(",").map((text) => {
  const machines = Number(text);
  const figures = {
    machines,
    jobs: machines * Number(values.jobs),
    jobSeconds: Number(values["job-seconds"]),
    concurrency: Number(values.concurrency),
    storeUs: Number(values["store-us"]),
  };
  return { ...figures, ...simulate(figures) };
});
if (values.json) console.log(JSON.stringify(rows, undefined, 1));
else {
  console.log("| machines | jobs/s | of what the machines could do | store, share of a core | Mbit/s |");
  console.log("|--:|--:|--:|--:|--:|");
  for (const { machines, jobsPerSecond, efficiency, storeBusy, megabits } of rows)
    console.log(
      `| ${machines} | ${jobsPerSecond.toPrecision(3)} | ${(efficiency * 100).toFixed(0)} % | ${(storeBusy * 100).toPrecision(2)} % | ${megabits.toPrecision(2)} |`,
    );
}
