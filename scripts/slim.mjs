// Makes dist/ what is published. Everything the package computes is in one file, the engine: minified for browsers
// (browser/deltallm-engine.js), readable for Node, Deno and Bun (node/engine.js); the entry points and the command line
// are a few readable files that import it. Of the declarations only those are kept that the entry points lead to. The
// next build (scripts/setup.mjs) writes everything anew.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inflateRawSync } from "node:zlib";
import { buildBrowser, buildNodeEngine, installTools } from "./build-browser.mjs";
import { buildPage } from "./build-page.mjs";

const root = resolve(fileURLToPath(import.meta.url), "../..");
const dist = join(root, "dist");

installTools();
const require = createRequire(join(root, "runtime-tests/package.json"));
const { build } = require("esbuild");
await repackKernels();
const before = readdirSync(dist, { recursive: true }).map(String);
/** Modules outside the command line that something here imports. */
const shared = new Set();
/** Entry points for other libraries. They import this package by its name. */
const adapters = ["ai", "prompt-api", "langchain", "testing"];
const { outputFiles } = await build({
  entryPoints: {
    story: join(dist, "story.js"),
    ...Object.fromEntries(adapters.map((name) => [`adapters/${name}`, join(dist, `adapters/${name}.js`)])),
    "server/index": join(dist, "server/index.js"),
    "server/page": join(dist, "server/page.js"),
    "node/worker": join(dist, "model/worker.js"),
    "node/host-worker": join(dist, "remote/host-worker.js"),
    "cli/main": join(dist, "cli/main.js"),
    "cli/run": join(dist, "cli/run.js"),
  },
  outdir: dist,
  write: false,
  bundle: true,
  splitting: true,
  // Readable: errors show the line they come from, and names are those of the source.
  minify: false,
  format: "esm",
  platform: "node",
  target: "es2022",
  packages: "external",
  plugins: [
    {
      name: "engine",
      setup({ onResolve }) {
        onResolve({ filter: /^\./ }, ({ path, resolveDir }) => {
          const module = relative(dist, join(resolveDir, path)).replaceAll("\\", "/");
          if (/^(cli|eval|server)\//.test(module)) return undefined;
          shared.add(`../${module}`);
          return { path: "deltallm/engine", external: true };
        });
      },
    },
  ],
  logLevel: "warning",
});
// Of all that the engine passes on, only the public names.
const names = Object.keys(await import(pathToFileURL(join(dist, "index.js")).href));
const index = { path: join(dist, "index.js"), contents: `export { ${names.join(", ")} } from "deltallm/engine";\n` };
await buildBrowser();
await buildNodeEngine(["../index.js", ...[...shared].sort()]);
for (const name of before) if (/\.(js|map)$/.test(name) && !name.startsWith("browser/")) rmSync(join(dist, name));
for (const { path, contents } of [index, ...outputFiles]) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, contents);
}
await buildPage();
// A name that the engine does not pass on would be missed only by whoever needs it.
for (const { path } of [index, ...outputFiles])
  if (!/[\\/](main|worker)\.js$/.test(path)) await import(pathToFileURL(path).href);

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
