// Prints one line of JSON per combination of threads, kernel build, prefill chunk and attention: the hash over the bits
// of all logits of a fixed prompt and a few decoded tokens. Runs in any runtime with a file system.
//   hashes.mjs MODEL [MODEL …]
import { loadModel } from "../../dist/index.js";

const models = (globalThis.Deno?.args ?? process.argv.slice(2)).filter((word) => !word.startsWith("--"));
const delta = (grain, basis) => ({ kind: "delta", grain, basis, targetSparsity: 0.6, window: 16, valueCutoff: 0.001 });
// The embedded model brings its calibration; other models are checked with full attention, and with values skipped.
const attentionsOf = (source) =>
  source === "embedded"
    ? [
        undefined,
        delta("element", "score"),
        delta("chunk", "raw"),
        delta("row", "score"),
        { preset: "fast" },
        { preset: "small" },
      ]
    : [undefined, { valueCutoff: 0.001 }];

async function hash(model, selects) {
  const session = model.createSession();
  const { vocab } = model.config;
  // Long enough for selection to choose.
  const ids = Array.from({ length: selects ? 300 : 150 }, (_, i) => (i * 7919 + 13) % vocab);
  const parts = [await session.prefill(ids, { allLogits: true })];
  for (let step = 0; step < 4; step++) parts.push(await session.step((step * 104729 + 1) % vocab));
  await session.dispose();
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest.slice(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

for (const source of models)
  for (const kernel of ["simd", "relaxed"])
    for (const threads of [1, 2])
      for (const prefillChunk of [1, 7, 64])
        for (const attention of attentionsOf(source)) {
          let model;
          try {
            model = await loadModel(source, { threads, kernel, prefillChunk, attention });
          } catch (error) {
            if (error.name !== "KernelError") throw error;
            continue; // this runtime has no relaxed SIMD
          }
          const { threadsReason } = model.stats();
          console.log(
            JSON.stringify({
              source,
              kernel,
              threads: model.stats().threads,
              threadsReason,
              prefillChunk,
              attention: JSON.stringify(attention ?? "full"),
              hash: await hash(model, attention?.preset !== undefined),
            }),
          );
          await model.dispose();
        }
