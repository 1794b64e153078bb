// One process that computes requests without a queue: what `overhead.mjs` compares workers with.
import { Engine } from "../../fleet/src/engine.mjs";

const engine = new Engine({ source: process.argv[2], options: { threads: 1 } });
await engine.props();
process.on("message", async ({ jobs, concurrency }) => {
  let tokens = 0;
  const answer = async () => {
    for (let job = jobs.shift(); job; job = jobs.shift()) tokens += (await engine.compute(job)).tokens;
  };
  await Promise.all(Array.from({ length: concurrency }, answer));
  process.send({ tokens });
});
process.send("ready");
