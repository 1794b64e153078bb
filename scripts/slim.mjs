// Makes dist/ what is published: the modules for Node, Deno and Bun as a few files without comments, and of the
// declarations only those that the entry points lead to. The next build (scripts/setup.mjs) writes everything anew.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { installTools } from "./build-browser.mjs";

const root = resolve(fileURLToPath(import.meta.url), "../..");
const dist = join(root, "dist");

installTools();
const { build } = createRequire(join(root, "runtime-tests/package.json"))("esbuild");
const before = readdirSync(dist, { recursive: true }).map(String);
// Shared parts lie in dist/ itself: what they name by their own address, the worker and weights/, is beside it.
const { outputFiles } = await build({
  entryPoints: {
    index: join(dist, "index.js"),
    story: join(dist, "story.js"),
    worker: join(dist, "model/worker.js"),
    "cli/main": join(dist, "cli/main.js"),
  },
  outdir: dist,
  write: false,
  bundle: true,
  splitting: true,
  minify: true,
  format: "esm",
  platform: "node",
  target: "es2022",
  packages: "external",
  external: ["./engine-text.js"],
  logLevel: "warning",
});
for (const name of before) if (/\.(js|map)$/.test(name) && !name.startsWith("browser/")) rmSync(join(dist, name));
for (const { path, contents } of outputFiles) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, contents);
}

const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const needed = new Set();
for (const { types } of Object.values(exports)) if (types) follow(join(root, types));
for (const name of before) if (name.endsWith(".d.ts") && !needed.has(join(dist, name))) rmSync(join(dist, name));
console.error(`${outputFiles.length} modules for Node, Deno and Bun; ${needed.size} declarations`);

function follow(path) {
  if (needed.has(path)) return;
  needed.add(path);
  if (!existsSync(path)) throw new Error(`no ${path}`);
  for (const [, from] of readFileSync(path, "utf8").matchAll(/(?:from|import\()\s*"(\.[^"]+)\.js"/g))
    follow(join(dirname(path), `${from}.d.ts`));
}
