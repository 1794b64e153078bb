// Loads one model, prefills and decodes, and prints what that took as JSON: run.mjs FILE CONTEXT PREFILL DECODE [fill]
import { loadModel } from "../../dist/index.js";

const [file, context, prefill, decode, fill] = process.argv.slice(2);
const contextLength = Number(context);
const resident = () => process.memoryUsage().rss;
const before = resident();
const started = performance.now();
// In this thread: in one of its own, the default, the vocabulary and the code are there twice.
const model = await loadModel(file, { contextLength, engineThread: "caller" });
const loadMs = performance.now() - started;
const loaded = resident();
const session = model.createSession();
const ids = Array.from(
  { length: fill ? contextLength - Number(decode) : Number(prefill) },
  (_, i) => (i * 7919 + 97) % 128000,
);
let logits = await session.prefill(ids);
let finite = true;
for (let step = 0; step < Number(decode); step++) {
  finite &&= logits.every(Number.isFinite);
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id] > logits[best]) best = id;
  logits = await session.step(best);
}
const { weightBytes, kvBytes, memoryBytes, threads, kernel, prefill: p, decode: d } = model.stats();
const { tokenizer } = model;
// What the runtime holds in reserve after loading it gives back when it has had nothing to do for some seconds.
const holdsReserve = () => process.memoryUsage().heapTotal > 1.5 * process.memoryUsage().heapUsed;
for (let round = 0; round < 4 || (round < 60 && holdsReserve()); round++) {
  globalThis.gc();
  await new Promise((resolve) => setTimeout(resolve, 250));
}
const after = resident();
const text = "the quick brown fox <|eot_id|>";
console.log(
  JSON.stringify({
    config: model.config,
    notes: model.file.notes,
    tensors: model.file.allTensors.length,
    tokenizerWorks: tokenizer.decode(tokenizer.encode(text, { special: true })) === text,
    stopIds: model.file.tokenizer.eosIds,
    finite: finite && logits.every(Number.isFinite),
    length: session.length,
    before,
    loaded,
    resident: after,
    peak: process.resourceUsage().maxRSS * 1024,
    weightBytes,
    kvBytes,
    memoryBytes,
    loadMs,
    threads,
    kernel,
    prefill: p.tokensPerSecond,
    decode: d.tokensPerSecond,
  }),
);
await model.dispose();
