// Runs every *.test.js under build/test, one process per file, and ends with "N passed, N failed".
//   node scripts/test.mjs [--full] [--in=deno,bun,…] [word …]   --in: in other runtimes than this one (test/runtimes)
// A file that is never run, runs no test or dies counts as a failure, so nothing can be skipped silently.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { installRuntimes } from "./runtimes.mjs";

const full = process.argv.includes("--full");
const only = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const named = process.argv.find((word) => word.startsWith("--in="))?.slice("--in=".length);
const here = ["--expose-gc", "--enable-source-maps"];
/** What runs the files: name and words of the command. */
const runtimes = named === undefined ? [["", process.execPath, ...here]] : others(named.split(","));

function others(names) {
  const installed = installRuntimes();
  // They are packaged for one system only; elsewhere that was said and there is nothing to run.
  if (Object.keys(installed).length === 0) process.exit(0);
  return names.map((name) => {
    if (!installed[name]) throw new Error(`There is no runtime ${name}: ${Object.keys(installed).join(", ")}`);
    return [name, installed[name], ...(name === "deno" ? ["run", "-A"] : name === "bun" ? ["run"] : here)];
  });
}

const sources = readdirSync("test", { recursive: true })
  .map(String)
  .filter((name) => name.endsWith(".test.ts") && !name.includes("node_modules"))
  .sort();
const slow = (name) => /^(full|fuzz)\//.test(name);
/** Runs one compiled test file; slow tests live in full/ and fuzz/. */
function runFile(file, name, [binary, ...words]) {
  if (!existsSync(file)) return { status: 1, stdout: "", stderr: `${file} was not built` };
  // DELTALLM_FUZZ_MINUTES: how long each test of fuzz/ goes on (test/helpers/fuzz-rounds.ts).
  const fuzz = name.startsWith("fuzz/") ? 12 * Number(process.env.DELTALLM_FUZZ_MINUTES ?? 0) : 0;
  const minutes = (slow(name) ? 20 : 3) + fuzz;
  const options = { encoding: "utf8", maxBuffer: 1 << 28, timeout: minutes * 60_000, killSignal: "SIGKILL" };
  return spawnSync(binary, [...words, file], options);
}

let passed = 0;
let failed = 0;
let skipped = 0;
const started = Date.now();
const wanted = sources.filter(
  (name) => (!only.length || only.some((word) => name.includes(word))) && (full || !slow(name)),
);
for (const [runtime, ...command] of runtimes) for (const name of wanted) test(name, runtime, command);
console.log(`${((Date.now() - started) / 1000).toFixed(0)} s`);
console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ""}`);
process.exit(failed || !passed ? 1 : 0);

function test(name, runtime, command) {
  const file = join("build/test", name.replace(/\.ts$/, ".js"));
  const start = Date.now();
  let run = runFile(file, name, command);
  if (run.error?.code === "ETIMEDOUT") {
    // Node 20 can deadlock while a process with worker threads shuts down (nodejs/node#54918); said, and tried once more.
    console.log(`NOTICE: ${name} did not end in time and is run again`);
    run = runFile(file, name, command);
  }
  const count = (label) => Number(run.stdout.match(new RegExp(`${label}:\\s+(\\d+)`))?.[1] ?? 0);
  const total = count("Total");
  const good = count("Passed");
  const left = count("Skipped");
  const bad = Math.max(total - good, run.status === 0 && total + left > 0 ? 0 : 1);
  passed += good;
  failed += bad;
  skipped += left;
  console.log(
    `${bad ? "FAIL" : "ok  "} ${runtime && `${runtime}: `}${name}  ${good} passed${left ? `, ${left} skipped` : ""}  ${((Date.now() - start) / 1000).toFixed(1)} s`,
  );
  const notices = run.stdout.split("\n").filter((line) => line.includes("SKIPPED:"));
  if (bad) console.log(run.stdout + run.stderr);
  else for (const line of notices) console.log(line);
}
