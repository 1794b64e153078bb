// Bundles the compiled package for browsers: dist/browser/deltallm.js (for pages), deltallm-engine.js (for workers, one
// file without imports) and engine-text.js (the engine as text, loaded only where its file is not to be had).
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = resolve(fileURLToPath(import.meta.url), "../..");
const out = join(root, "dist/browser");
const tools = join(root, "runtime-tests");

/** Installs the bundlers and the browser driver; does nothing when they are there. */
export function installTools() {
  const installed = join(tools, "node_modules/.package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(tools, "package-lock.json")).mtimeMs)
    return;
  const { status } = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: tools,
    stdio: ["ignore", 2, 2],
  });
  if (status !== 0) throw new Error("npm ci failed in runtime-tests");
}

const exportAll = (modules) => modules.map((path) => `export * from ${JSON.stringify(path)};`).join("\n");

export async function buildBrowser() {
  installTools();
  const require = createRequire(join(tools, "package.json"));
  const { build } = require("esbuild");
  const { gzipAsync } = require("@gfx/zopfli");
  const common = {
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    minify: true,
    logLevel: "warning",
  };
  await build({
    ...common,
    stdin: { contents: exportAll(["./engine.js"]), resolveDir: out },
    outfile: join(out, "deltallm-engine.js"),
    plugins: [weightsFolder, noFiles],
  });
  const engine = readFileSync(join(out, "deltallm-engine.js"));
  // 3 % smaller than by zlib: in base64, nothing packs this file any further.
  const packed = Buffer.from(await gzipAsync(engine, { numiterations: 5 }));
  writeFileSync(join(out, "engine-text.js"), `export const engineText="${packed.toString("base64")}";\n`);
  await build({
    ...common,
    entryPoints: [join(out, "index.js")],
    outfile: join(out, "deltallm.js"),
    external: ["./engine-text.js"],
    plugins: [noFiles],
  });
  const size = (name) => {
    const bytes = readFileSync(join(out, name));
    return `${name}: ${bytes.length} bytes, ${gzipSync(bytes).length} with gzip`;
  };
  console.error(["deltallm.js", "deltallm-engine.js", "engine-text.js"].map(size).join("\n"));
}

/** The cache in the file system is never asked for in a browser. */
const noFiles = {
  name: "no file system",
  setup({ onLoad }) {
    onLoad({ filter: /dist[\\/]hub[\\/]cache-files\.js$/ }, () => ({
      contents: 'export function fileCache() { throw new Error("there is no file system here"); }',
    }));
  },
};

/** The bundle lies a folder deeper than the module that looks for weights/. */
export const weightsFolder = {
  name: "weights folder",
  setup({ onLoad }) {
    onLoad({ filter: /dist[\\/]embedded\.js$/ }, ({ path }) => {
      const contents = readFileSync(path, "utf8").replace('"../weights/"', '"../../weights/"');
      if (!contents.includes('"../../weights/"')) throw new Error(`${path} does not look for ../weights/`);
      return { contents };
    });
  },
};

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildBrowser();
