// Loads models of the full size of the paper's two, prefills and decodes, and holds memory to its bounds. The files are
// made up (their shapes, names and metadata are the published ones), in a temporary folder, one after the other.
//   npm run test:big [-- --fill] [-- word …]     --fill: computes the whole context instead of 96 tokens (slow)
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { freemem, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { models, writeModel } from "./synthetic-gguf.mjs";

const PREFILL = 96;
const DECODE = 8;
const CONTEXT = 4096;
/** Newer V8 keeps more of what its compilers used. */
const KEPT = Number(process.versions.node.split(".")[0]) > 20 ? 64 * 2 ** 20 : 0;
/**
 * What a process may take besides itself, weights, keys and values: a vocabulary of 128,256 tokens, buffers, code.
 * 54 to 61 MB were measured; the rest is for what a runtime has not given back yet.
 */
const SLACK = 80 * 2 ** 20 + KEPT;
/** The same at the moment it takes most, with what the runtime's heap has in reserve while a file is read. */
const PEAK_SLACK = SLACK + 48 * 2 ** 20;
/** Resident bytes at a full context. */
const BOUNDS = { "BitNet-b1.58-2B-4T": 1.2e9 + KEPT };
/** The largest file, and then some. */
const NEEDED = 2.2e9;

const words = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const fill = process.argv.includes("--fill");
const problems = [];
const folder = mkdtempSync(join(tmpdir(), "deltallm-big-"));
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;

try {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < NEEDED)
    throw new Error(`${folder} has ${megabytes(bavail * bsize)} left, not ${megabytes(NEEDED)}`);
  if (freemem() < NEEDED) console.log(`NOTICE: only ${megabytes(freemem())} of memory are free`);
  for (const [name, model] of Object.entries(models))
    if (words.length === 0 || words.some((word) => name.includes(word))) check(name, model);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const problem of problems) console.log(`PROBLEM: ${problem}`);
process.exitCode = problems.length ? 1 : 0;

function check(name, model) {
  const file = join(folder, "model.gguf");
  const bytes = writeModel(file, model);
  const script = fileURLToPath(new URL("run.mjs", import.meta.url));
  const args = ["--expose-gc", script, file, CONTEXT, PREFILL, DECODE, ...(fill ? ["fill"] : [])].map(String);
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 3_600_000 });
  rmSync(file);
  const expect = (holds, what) => holds || problems.push(`${name}: ${what}`);
  expect(status === 0, stderr);
  if (status !== 0) return;
  const result = JSON.parse(stdout);
  const { config, before, resident, peak, weightBytes, kvBytes, length } = result;

  expect(config.layers === model.layers && config.ffn === model.ffn && config.vocab === 128256, "the shape");
  expect(config.architecture === (model.architecture === "llama" ? "llama" : "bitnet"), "the architecture");
  expect(result.tokenizerWorks && result.stopIds.includes(128009), "the tokenizer");
  expect(result.finite && length === (fill ? CONTEXT : PREFILL + DECODE), "the logits");

  // Keys and values grow with the tokens, in steps; the rest does not.
  const fullKvBytes = config.layers * config.kvHeads * CONTEXT * (2 * config.headDim + 8);
  const besides = resident - before - weightBytes - kvBytes;
  const full = resident + Math.max(0, fullKvBytes - kvBytes);
  const most = peak - before - weightBytes - kvBytes;
  expect(besides <= SLACK, `${megabytes(besides)} besides weights, keys and values, not ${megabytes(SLACK)}`);
  expect(most <= PEAK_SLACK, `${megabytes(most)} at most besides them, not ${megabytes(PEAK_SLACK)}`);
  if (BOUNDS[name])
    expect(full <= BOUNDS[name], `${megabytes(full)} at ${CONTEXT} tokens, not ${megabytes(BOUNDS[name])}`);
  console.log(
    `${name}: file ${megabytes(bytes)}, ${result.tensors} tensors, loaded in ${(result.loadMs / 1000).toFixed(1)} s; ` +
      `prefill ${result.prefill.toFixed(1)}, decode ${result.decode.toFixed(1)} tokens/s (${result.threads} threads, ${result.kernel})`,
  );
  console.log(
    `  weights ${megabytes(weightBytes)}, keys and values ${megabytes(kvBytes)} at ${length} tokens (${megabytes(fullKvBytes)} at ${CONTEXT}), ` +
      `besides ${megabytes(besides)}, at most ${megabytes(most)}; resident ${megabytes(resident)}, ` +
      `${fill ? "measured" : `${megabytes(full)}`} with a full context`,
  );
  for (const note of result.notes) console.log(`  note: ${note}`);
}
