// One suite for every runtime: plain functions of what `import … from "deltallm"` gives. Each gets
// `{ deltallm, source, load, expect }` and throws when something is not as it should be.
import { answers } from "./checks/answers.mjs";
import { refusals } from "./checks/refusals.mjs";

/** The last one disposes of the model. */
export const checks = { ...answers, ...refusals };

/**
 * Runs the suite and returns what the table of runtimes shows.
 * @param source of the story model
 * @param options threads, workerUrl
 * @param bytes the story model's, for the checks that read them themselves
 * @param smollm2 `{ source, calibration }`: one more model to hash
 */
export async function runSuite(deltallm, source, options = {}, { bytes, smollm2 } = {}) {
  const failures = [];
  const progress = [];
  globalThis.stage = "loading";
  const model = await deltallm.loadModel(source, {
    contextLength: 512,
    ...options,
    onProgress: ({ phase, fraction }) => progress.push([phase, fraction]),
  });
  if (!progress.some(([phase, fraction]) => phase === "weights" && fraction === 1))
    failures.push("progress of loading");
  const hashes = await hashesOf(deltallm, "story", source, options);
  if (smollm2) hashes.push(...(await hashesOf(deltallm, "SmolLM2", smollm2.source, options, smollm2.calibration)));
  for (const [name, check] of Object.entries(checks)) {
    globalThis.stage = name; // for whoever has to find out where it hangs
    try {
      await check({ model, deltallm, source, bytes });
    } catch (error) {
      failures.push(`${name}: ${error?.stack ?? error}`);
    }
  }
  for (const { model: name, attention, deltaSparsity } of hashes)
    if (attention === "delta" && !(deltaSparsity > 0.2))
      failures.push(`delta attention of ${name} dropped only ${deltaSparsity}`);
  const { threads, threadsReason, kernel } = model.stats();
  return { failures, hashes, threads, threadsReason, kernel };
}

/**
 * What is hashed, by model: the settings as `deltallm verify` prints them and as `loadModel` takes them. The embedded
 * model brings its calibration, the other one is given a small one.
 */
const hashed = {
  story: [
    { settings: "default", attention: {} },
    {
      settings: "attention=delta basis=score sparsity=0.6 window=16",
      attention: { kind: "delta", basis: "score", targetSparsity: 0.6, window: 16 },
    },
    { settings: "preset=fast", attention: { preset: "fast" } },
    { settings: "preset=small", attention: { preset: "small" } },
  ],
  SmolLM2: [
    { settings: "default", attention: {} },
    {
      settings: "attention=delta basis=raw sparsity=0.6 thresholds=d8aad898f777d990 window=16",
      attention: { kind: "delta", basis: "raw", targetSparsity: 0.6, window: 16 },
    },
  ],
};

/** The hashes of one model, with full and with delta attention. */
export async function hashesOf(deltallm, name, source, options = {}, calibration = undefined) {
  const hashes = [];
  for (const { settings, attention } of hashed[name]) {
    globalThis.stage = `hash of ${name}, ${settings}`;
    const { preset, kind = preset === "small" ? "delta" : "full" } = attention;
    // The embedded model brings its calibration only by that name.
    if ((kind === "delta" || preset) && !calibration && source !== "embedded") continue;
    const hash = await hashOf(deltallm, source, {
      ...options,
      attention: kind === "full" ? attention : { ...attention, calibration },
    });
    hashes.push({ model: name, attention: kind, settings, ...hash });
  }
  return hashes;
}

/** The hash that `deltallm verify` prints: SHA-256 over the SHA-256 of each row of logits of a fixed prompt. */
async function hashOf(deltallm, source, options) {
  // Selection chooses among keys that are far from both ends.
  const [length, contextLength] = options.attention.preset ? [448, 512] : [96, 256];
  const model = await deltallm.loadModel(source, { ...options, contextLength });
  const { vocab } = model.config;
  const ids = Array.from({ length }, (_, i) => ((i * 7919 + 17) * 104729) % vocab);
  const digests = [];
  const add = async (row) => digests.push(...new Uint8Array(await crypto.subtle.digest("SHA-256", row)));
  const session = model.createSession();
  let last;
  for (let start = 0; start < length; start += length / 4) {
    const rows = await session.prefill(ids.slice(start, start + length / 4), { allLogits: true });
    for (let at = 0; at < rows.length; at += vocab) {
      last = rows.slice(at, at + vocab);
      await add(last);
    }
  }
  for (let i = 0; i < 16; i++) {
    last = await session.step(last.indexOf(Math.max(...last)));
    await add(last);
  }
  const { attention, decode } = model.stats();
  await model.dispose();
  const hash = await crypto.subtle.digest("SHA-256", Uint8Array.from(digests));
  return {
    hash: Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join(""),
    deltaSparsity: attention.deltaSparsity,
    tokensPerSecond: decode.tokensPerSecond,
  };
}
