// One process that computes requests without a queue: what `overhead.mjs` compares workers with. It asks for a request
// when it has room for one, as a worker does.
import { Engine } from "../../fleet/src/engine.mjs";

const [source, threads] = process.argv.slice(2);
const engine = new Engine({ source, options: { threads: Number(threads) } });
await engine.props();
const waiting = [];
let [tokens, running] = [0, 0];
const next = () => new Promise((resolve) => waiting.push(resolve) && process.send("more"));
async function work() {
  running++;
  for (let job = await next(); job; job = await next()) {
    const answer = await engine.compute(job);
    tokens += answer.tokens;
  }
  if (--running === 0) process.send({ tokens });
}
process.on("message", (message) => {
  if (message.concurrency === undefined) return waiting.shift()(message.job);
  tokens = 0;
  for (let i = 0; i < message.concurrency; i++) work();
});
process.on("disconnect", () => process.exit());
process.send("ready");
