// Installs the runtimes of test/runtimes into its node_modules and prints name and path of each, one per line.
// Only Linux on x86-64: elsewhere it prints nothing and says so.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const folder = resolve(fileURLToPath(import.meta.url), "../../test/runtimes");
const binaries = { node20: "bin/node", node22: "bin/node", node24: "bin/node", deno: "deno", bun: "bin/bun" };

export function installRuntimes() {
  if (process.platform !== "linux" || process.arch !== "x64") {
    console.error("The test runtimes are packaged for Linux on x86-64 only");
    return {};
  }
  const installed = join(folder, "node_modules/.package-lock.json");
  const lock = join(folder, "package-lock.json");
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
    const { status } = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
      cwd: folder,
      stdio: ["ignore", 2, 2],
    });
    if (status !== 0) throw new Error("npm ci failed in test/runtimes");
  }
  const names = Object.keys(JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).dependencies);
  return Object.fromEntries(names.map((name) => [name, join(folder, "node_modules", name, binaries[name])]));
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const [name, path] of Object.entries(installRuntimes())) console.log(`${name} ${path}`);
