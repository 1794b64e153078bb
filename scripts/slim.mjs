// Makes dist/ what is published: few files, minified for browsers (build-browser.mjs), readable for Node, Deno and Bun
// (build-node.mjs). Of the declarations only those are kept that the entry points lead to. The next build (scripts/setup.mjs)
// writes everything anew.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inflateRawSync } from "node:zlib";
import { buildBrowser, installTools } from "./build-browser.mjs";
import { buildNode } from "./build-node.mjs";
import { buildPage } from "./build-page.mjs";

const root = resolve(fileURLToPath(import.meta.url), "../..");
const dist = join(root, "dist");

installTools();
const require = createRequire(join(root, "runtime-tests/package.json"));
await repackKernels();
const before = readdirSync(dist, { recursive: true }).map(String);
/** Entry points for other libraries. They import this package by its name. */
const adapters = ["ai", "prompt-api", "langchain", "testing"];
const outputFiles = await buildNode({
  story: "story.js",
  ...Object.fromEntries(adapters.map((name) => [`adapters/${name}`, `adapters/${name}.js`])),
  "server/index": "server/index.js",
  "server/page": "server/page.js",
  "node/worker": "model/worker.js",
  "node/host-worker": "remote/host-worker.js",
});
// Of all that the engine passes on, only the public names.
const names = Object.keys(await import(pathToFileURL(join(dist, "index.js")).href));
const index = { path: join(dist, "index.js"), contents: `export { ${names.join(", ")} } from "deltallm/engine";\n` };
await buildBrowser();
for (const name of before) if (/\.(js|map)$/.test(name) && !name.startsWith("browser/")) rmSync(join(dist, name));
for (const { path, contents } of [index, ...outputFiles]) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, contents);
}
await buildPage();
// A name that is not passed on would be missed only by whoever needs it. In a process that does not know the modules of before.
const modules = [index, ...outputFiles].map(({ path }) => path).filter((path) => !/[\\/](main|worker)\.js$/.test(path));
const imports = modules.map((path) => `import ${JSON.stringify(pathToFileURL(path).href)};`).join("\n");
const { status } = spawnSync(process.execPath, ["--input-type=module", "-e", imports], { stdio: "inherit" });
if (status !== 0) throw new Error("a module that is to be published cannot be imported");

const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const needed = new Set();
for (const { types } of Object.values(exports)) if (types) follow(join(root, types));
for (const name of before) if (name.endsWith(".d.ts") && !needed.has(join(dist, name))) rmSync(join(dist, name));
console.error(`${outputFiles.length + 1} modules for Node, Deno and Bun; ${needed.size} declarations`);

/** The kernels are in the package three times, and zlib's own compression makes them 5 % larger than they need be. */
async function repackKernels() {
  const { deflateAsync } = require("@gfx/zopfli");
  const path = join(dist, "kernels/binaries.js");
  let text = readFileSync(path, "utf8");
  const found = [...text.matchAll(/"([A-Za-z0-9+/=]{1000,})"/g)];
  if (found.length !== 2) throw new Error(`${path} has ${found.length} packed kernels, not 2`);
  for (const [, base64] of found) {
    const packed = await deflateAsync(inflateRawSync(Buffer.from(base64, "base64")), { numiterations: 5 });
    text = text.replace(base64, Buffer.from(packed).toString("base64"));
  }
  writeFileSync(path, text);
}

function follow(path) {
  if (needed.has(path)) return;
  needed.add(path);
  if (!existsSync(path)) throw new Error(`no ${path}`);
  for (const [, from] of readFileSync(path, "utf8").matchAll(/(?:from|import\()\s*"(\.[^"]+)\.js"/g))
    follow(join(dirname(path), `${from}.d.ts`));
}
