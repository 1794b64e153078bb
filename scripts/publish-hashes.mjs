// Computes the hashes that `deltallm verify` and `npm run verify:everywhere` compare with, and writes weights/hashes.json.
// To be run when the embedded model or its calibration is made anew, or when the arithmetic is meant to change.
//   node scripts/publish-hashes.mjs            SmolLM2 too, when its file is in models/ of $DELTALLM_SHARED or ../shared
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(fileURLToPath(import.meta.url), "../..");
const out = join(root, "weights/hashes.json");
const smollm2 = [process.env.DELTALLM_SHARED, join(root, "../shared")]
  .map((shared) => resolve(shared ?? "", "models/SmolLM2-135M-Instruct.Q4_1.gguf"))
  .find((path) => existsSync(path));
const calibration = join(root, "test/fixtures/calibration/smollm2.json");

const hashed = [
  ["story", "embedded", ""],
  ["story", "embedded", "--kv-cache f32"],
  ["story", "embedded", "--attention delta --basis score --sparsity 0.6 --window 16"],
  ["story", "embedded", "--preset fast"],
  ["story", "embedded", "--preset small"],
  ["SmolLM2-135M-Instruct.Q4_1.gguf", smollm2, ""],
  ["SmolLM2-135M-Instruct.Q4_1.gguf", smollm2, "--kv-cache f32"],
  [
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    smollm2,
    "--attention delta --basis raw --sparsity 0.6 --window 16",
    "--thresholds",
    calibration,
  ],
];

const before = JSON.parse(readFileSync(out, "utf8"));
const after = [];
for (const [name, model, options, ...more] of hashed) {
  if (!model) {
    console.log(`SKIPPED: ${name} ${options}: its file is not there; what was published stays`);
    continue;
  }
  const args = ["verify", "--json", "-m", model, ...options.split(" ").filter(Boolean), ...more];
  const { stdout, stderr } = spawnSync(process.execPath, [join(root, "dist/cli/main.js"), ...args], {
    encoding: "utf8",
  });
  if (!stdout) throw new Error(stderr);
  const { hash, model: fingerprint, settings } = JSON.parse(stdout);
  after.push({ name, model: fingerprint, settings, hash });
  const known = before.find((each) => each.model === fingerprint && each.settings === settings)?.hash;
  console.log(`${known === hash ? "same   " : known ? "CHANGED" : "new    "} ${name}, ${settings}: ${hash}`);
}
const computed = new Set(after.map(({ name }) => name));
const kept = before.filter(({ name }) => !computed.has(name));
writeFileSync(out, `${JSON.stringify([...after, ...kept], null, 2)}\n`);
