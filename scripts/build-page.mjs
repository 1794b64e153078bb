// Builds the chat page from web/ into dist/page/: bundled, with the engine, the story model and a service worker beside
// it, so that the folder can be served as it is. Does nothing when it is up to date.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { installTools } from "./build-browser.mjs";

const root = resolve(fileURLToPath(import.meta.url), "../..");
const web = join(root, "web");
const out = join(root, "dist/page");
/** Bytes, with gzip, of what is loaded before anything is asked for; engine and model apart. */
const FIRST_LOAD = 150_000;
/** More than the 2,048 tokens that are measured. */
const CALIBRATION_CHARACTERS = 16_000;

/** Installs what the page is built from; does nothing when it is there. */
function installPackages() {
  const installed = join(web, "node_modules/.package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(web, "package-lock.json")).mtimeMs) return;
  const { status } = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: web,
    stdio: ["ignore", 2, 2],
  });
  if (status !== 0) throw new Error("npm ci failed in web");
}

/** @param check type-check the sources first */
export async function buildPage({ check = false } = {}) {
  installTools();
  installPackages();
  if (check) {
    const { status } = spawnSync("npx", ["--no-install", "tsc", "-p", "web/tsconfig.json"], {
      cwd: root,
      stdio: ["ignore", 2, 2],
    });
    if (status !== 0) throw new Error("the page does not type-check");
  }
  const { build } = createRequire(join(root, "runtime-tests/package.json"))("esbuild");
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const common = {
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    minify: true,
    logLevel: "warning",
  };
  const { metafile } = await build({
    ...common,
    entryPoints: { main: join(web, "src/main.tsx"), style: join(web, "style.css") },
    outdir: out,
    splitting: true,
    chunkNames: "part-[hash]",
    jsx: "automatic",
    jsxImportSource: "preact",
    metafile: true,
  });
  for (const name of ["index.html", "icon.svg", "manifest.webmanifest"]) copyFileSync(join(web, name), join(out, name));
  writeFileSync(join(out, "calibration.txt"), calibrationText());
  const names = readdirSync(out).sort();
  const hash = createHash("sha256");
  for (const name of names) hash.update(name).update(readFileSync(join(out, name)));
  // The engine is fetched when a model is loaded in the page; kept too, so that this works without a network.
  const engine = ["engine/deltallm.js", "engine/deltallm-engine.js"];
  await build({
    ...common,
    format: "iife",
    entryPoints: { "service-worker": join(web, "src/service-worker.ts") },
    outdir: out,
    define: {
      FILES: JSON.stringify(["./", ...names.filter((name) => name !== "index.html"), ...engine]),
      VERSION: JSON.stringify(hash.digest("hex").slice(0, 12)),
    },
  });
  const first = firstLoad(metafile);
  console.error(`the page: ${first} bytes with gzip before the engine, ${names.length} files`);
  if (first > FIRST_LOAD) throw new Error(`the page is heavier than ${FIRST_LOAD} bytes`);
}

/** What the page measures a model on before delta attention: prose at hand, without pictures and tables. */
function calibrationText() {
  const docs = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"));
  const lines = docs.sort().flatMap((name) => readFileSync(join(root, "docs", name), "utf8").split("\n"));
  return lines
    .filter((line) => !/^[|!]|^ {4}|^```/.test(line))
    .join("\n")
    .slice(0, CALIBRATION_CHARACTERS);
}

/** Bytes, with gzip, of the page, its style and every script that is not loaded on demand. */
function firstLoad({ outputs }) {
  const seen = new Set();
  const visit = (path) => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const { path: next, kind } of outputs[path].imports) if (kind === "import-statement") visit(next);
  };
  for (const [path, { entryPoint }] of Object.entries(outputs)) if (entryPoint?.endsWith("main.tsx")) visit(path);
  const files = [...seen].map((path) => resolve(path)).concat(join(out, "index.html"), join(out, "style.css"));
  return files.reduce((sum, path) => sum + gzipSync(readFileSync(path)).length, 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildPage({ check: true });
