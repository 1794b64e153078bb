// Bundles the compiled package for Node, Deno and Bun. What every program needs is in one file, node/engine.js; what is
// imported when it is first used is in another, node/more.js. The command line is divided alike: cli/run.js is all of it
// until the first token of `generate`. A file costs a millisecond to find, and the runtime reads all of it.
import { createRequire } from "node:module";
import { join, posix, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { weightsFolder } from "./build-browser.mjs";

const root = resolve(fileURLToPath(import.meta.url), "../..");
const dist = join(root, "dist");

/** How the parts reach each other, wherever they are. */
const ENGINE = "deltallm/engine";
const MORE = "#src/node/more.js";
const RUN = "#src/cli/run.js";

/** What runs on the engine and is no part of it. */
const onTop = (module) => /^(cli|eval|server|adapters)\//.test(module);
/** What lies in dist/node, beside the rest of the engine. */
const entries = [
  "index.js",
  "browser/engine.js",
  "load-engine.js",
  "model/execute.js",
  "remote/load-in-worker.js",
  "remote/remote-model.js",
];

/** @param others entry points beside the command line: module by name of the output. Returns the files that are not written. */
export async function buildNode(others) {
  const { build, transform } = createRequire(join(root, "runtime-tests/package.json"))("esbuild");
  const common = {
    bundle: true,
    write: false,
    // Readable: errors show the line they come from, and names are those of the source.
    minify: false,
    format: "esm",
    target: "es2022",
    packages: "external",
    logLevel: "warning",
  };
  const one = async (contents, output, plugins, platform = "browser") => {
    const stdin = { contents, resolveDir: dist };
    const result = await build({ ...common, stdin, outfile: join(dist, output), platform, plugins });
    return result.outputFiles;
  };
  /** The modules that are loaded with these, and those they import when needed. */
  const reach = async (modules) => {
    const later = new Set();
    const note = redirect((target, kind) => {
      if (kind !== "dynamic-import") return undefined;
      later.add(target);
      return "./later.js";
    });
    const entryPoints = modules.map((module) => join(dist, module));
    const { metafile } = await build({
      ...common,
      entryPoints,
      outdir: dist,
      metafile: true,
      platform: "node",
      plugins: [note],
    });
    return { now: Object.keys(metafile.inputs).map((path) => nameOf(resolve(path))), later };
  };

  const run = await reach(["cli/run.js"]);
  const engine = await reach(entries);
  const front = new Set(run.now.filter(onTop));
  const core = new Set([...engine.now, ...run.now].filter((module) => !onTop(module)));
  const [fromCore, fromMore, fromFront] = [
    new Set(["browser/engine.js", "index.js"]),
    new Set(),
    new Set(["cli/run.js"]),
  ];
  const below = (target) => {
    (core.has(target) ? fromCore : fromMore).add(target);
    return core.has(target) ? ENGINE : MORE;
  };

  const commands = [...run.later].filter(onTop);
  const { outputFiles: parts } = await build({
    ...common,
    entryPoints: Object.fromEntries(
      [
        ...Object.entries(others),
        ["cli/main", "cli/main.js"],
        ...commands.map((module) => [module.slice(0, -3), module]),
      ].map(([name, module]) => [name, join(dist, module)]),
    ),
    outdir: dist,
    splitting: true,
    platform: "node",
    plugins: [
      redirect((target) => {
        if (!onTop(target)) return below(target);
        if (!front.has(target)) return undefined;
        fromFront.add(target);
        return RUN;
      }),
    ],
  });
  const runFile = await one(
    exportAll(fromFront),
    "cli/run.js",
    [
      redirect((target, kind) => {
        if (!onTop(target)) return below(target);
        return kind === "dynamic-import" ? `./${posix.relative("cli", target)}` : undefined;
      }),
    ],
    "node",
  );

  for (const target of [...run.later, ...engine.later]) if (!onTop(target)) below(target);
  for (let known = -1; known < fromMore.size; ) {
    known = fromMore.size;
    for (const target of (await reach([...fromMore])).later) below(target);
  }
  const beside = (target) => (core.has(target) ? "./engine.js" : "./more.js");
  const moreFile = await one(exportAll(fromMore), "node/more.js", [
    redirect((target, kind) => {
      if (core.has(target)) fromCore.add(target);
      return core.has(target) || kind === "dynamic-import" ? beside(target) : undefined;
    }),
  ]);
  const engineFile = await one(exportAll(fromCore), "node/engine.js", [
    redirect((target, kind) => (kind === "dynamic-import" ? beside(target) : undefined)),
    weightsFolder,
  ]);
  for (const modules of [fromFront, fromMore, fromCore]) await refuseSameNames(modules);
  return Promise.all([...parts, ...runFile, ...moreFile, ...engineFile].map((file) => plain(file, transform)));
}

/**
 * The file in ASCII and without comments but those that name the module: a runtime keeps the text of every module, in each
 * thread, and twice as long when a single character of it is not Latin.
 */
async function plain({ path, text }, transform) {
  const bare = text.replace(/^[ \t]*\/\/(?! dist\/).*\n/gm, "").replace(/^[ \t]*\/\*[\s\S]*?\*\/\n/gm, "");
  const [before, after] = await Promise.all([text, bare].map((code) => transform(code, { minify: true })));
  if (before.code !== after.code) throw new Error(`${path}: what was taken for comments was not`);
  const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return { path, contents: bare.replace(/[^\0-\x7f]/g, escaped) };
}

/** Asks `where` for what is to be imported instead of a module of ours; undefined: the module itself. */
function redirect(where) {
  return {
    name: "redirect",
    setup({ onResolve }) {
      onResolve({ filter: /^\./ }, ({ kind, path, resolveDir }) => {
        const found = where(nameOf(join(resolveDir, path)), kind);
        return found && { path: found, external: true };
      });
    },
  };
}

/** Name of a module in dist/. */
const nameOf = (path) => relative(dist, path).replaceAll("\\", "/");

const exportAll = (modules) =>
  [...modules]
    .sort()
    .map((module) => `export * from ${JSON.stringify(join(dist, module))};`)
    .join("\n");

/** Of two things of the same name `export *` would pass on neither. */
async function refuseSameNames(modules) {
  const seen = new Map();
  for (const module of modules)
    for (const [name, value] of Object.entries(await import(pathToFileURL(join(dist, module)).href))) {
      if (seen.has(name) && seen.get(name).value !== value)
        throw new Error(`${module} and ${seen.get(name).module} both export ${name}`);
      seen.set(name, { module, value });
    }
}
