// Makes a fresh clone ready: packages, kernels, TypeScript. Does only what is missing or out of date; quiet when nothing is.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";

const run = (command, args) => {
  const { status } = spawnSync(command, args, { stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
  if (status !== 0) process.exit(status ?? 1);
};
const installed = "node_modules/.package-lock.json";
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync("package-lock.json").mtimeMs)
  run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
run(process.execPath, ["scripts/build-kernels.mjs"]);
run("npx", ["--no-install", "tsc", "-p", "tsconfig.json"]);
if (process.argv.includes("--test")) {
  run(process.execPath, ["scripts/build-bench-kernels.mjs"]);
  run("npx", ["--no-install", "tsc", "-p", "tsconfig.test.json"]);
}
