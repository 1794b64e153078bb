// Runs the fleet's tests against the repository's own build. Ends with "N passed, N failed".
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = resolve(fileURLToPath(import.meta.url), "../..");
const installed = join(here, "node_modules/.package-lock.json");
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(join(here, "package-lock.json")).mtimeMs)
  spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: here, stdio: ["ignore", 2, 2] });
mkdirSync(join(here, "node_modules"), { recursive: true });
rmSync(join(here, "node_modules/deltallm"), { force: true });
symlinkSync("../..", join(here, "node_modules/deltallm"), "dir");

process.setMaxListeners(0);
// Leaving runs what kills the programs the tests have started.
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(1));
const { jobCases } = await import("./jobs.mjs");
const { faultCases } = await import("./faults.mjs");
const { routerCases } = await import("./routers.mjs");
const { servingCases } = await import("./serving.mjs");
const only = process.argv.slice(2);
let passed = 0;
let failed = 0;
for (const [name, run] of [...jobCases(), ...faultCases(), ...routerCases(), ...servingCases()]) {
  if (only.length && !only.some((word) => name.includes(word))) continue;
  const began = Date.now();
  try {
    await run();
    passed++;
    console.log(`ok   ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    console.log(`FAIL ${name}\n${error.stack ?? error}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
