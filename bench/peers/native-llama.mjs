// Speed of native llama.cpp (prebuilt by node-llama-cpp) on a GGUF file, as one JSON object:
//   node native-llama.mjs FILE [--threads 1] [--prompt 128] [--decode 32] [--depth 0] [--flash]
// Prefill of `prompt` tokens after `depth` tokens already in the context, then `decode` single tokens.
import { parseArgs } from "node:util";
import { getLlama } from "node-llama-cpp";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: "string", default: "1" },
    prompt: { type: "string", default: "128" },
    decode: { type: "string", default: "32" },
    depth: { type: "string", default: "0" },
    flash: { type: "boolean", default: false },
  },
});
const [threads, prompt, decode, depth] = [values.threads, values.prompt, values.decode, values.depth].map(Number);
const flashAttention = values.flash;

const llama = await getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: threads });
const model = await llama.loadModel({
  modelPath: positionals[0],
  useMmap: true,
  defaultContextFlashAttention: flashAttention,
});
const contextSize = depth + prompt + decode + 64;
const context = await model.createContext({ contextSize, batchSize: 512, threads, flashAttention });
const sequence = context.getSequence();
const ids = (count) => Array.from({ length: count }, (_, i) => 1000 + ((i * 7) % 20000));
const timed = async (work) => {
  const start = performance.now();
  const tokens = await work();
  const ms = performance.now() - start;
  return { tokens, ms, tokensPerSecond: (tokens / ms) * 1000 };
};

if (depth > 0) await sequence.evaluateWithoutGeneratingNewTokens(ids(depth));
const prefill = await timed(async () => {
  await sequence.evaluateWithoutGeneratingNewTokens(ids(prompt));
  return prompt;
});
const decoded = await timed(async () => {
  let count = 0;
  for await (const _ of sequence.evaluate([1077], { temperature: 0, yieldEogToken: true }))
    if (++count >= decode) break;
  return count;
});
const memoryBytes = process.memoryUsage().rss;
console.log(
  JSON.stringify({ engine: "llama.cpp native", threads, depth, flashAttention, prefill, decode: decoded, memoryBytes }),
);
process.exit(0);
