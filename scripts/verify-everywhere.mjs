// Packs the package, installs it into an empty folder and runs one suite in every runtime that is here: Node 20, 22 and
// 24, Deno, Bun, Chromium and Firefox (with and without threads, bundled, under a strict policy), Node on ARM64 under
// emulation. Ends with a table and fails unless everything passed and each model gives the published hash, with full and
// with delta attention. SmolLM2 is hashed where its file is: in models/ of $DELTALLM_SHARED or ../shared.
//   node scripts/verify-everywhere.mjs [word …]   only the rows that contain one of the words
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, rmSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { arm64Node } from "../runtime-tests/arm64.mjs";
import { installPackage, run } from "../runtime-tests/install.mjs";
import { installTools } from "./build-browser.mjs";
import { installRuntimes } from "./runtimes.mjs";
import { isolation, serve } from "./web.mjs";

const MEGABYTE = 1e6;
const only = process.argv.slice(2);
const wanted = (row) => only.length === 0 || only.some((word) => row.includes(word));
const rows = [];
const problems = [];
const skipped = [];

installTools();
const { browsers, causes, NoResult, resultOf, withBrowser } = await import("../runtime-tests/browsers.mjs");
const { testHub } = await import("../runtime-tests/hub.mjs");
const { testPage } = await import("../runtime-tests/page.mjs");
const { buildPages, viteServer } = await import("../runtime-tests/bundles.mjs");
const { folder, tarball, bytes, bytesWithoutModel } = installPackage();
const smollm2 = [process.env.DELTALLM_SHARED, "../shared"]
  .map((shared) => resolve(shared ?? "", "models/SmolLM2-135M-Instruct.Q4_1.gguf"))
  .filter((path) => existsSync(path))
  .slice(0, 1);
if (!smollm2.length)
  skipped.push("SmolLM2: models/SmolLM2-135M-Instruct.Q4_1.gguf is not in $DELTALLM_SHARED; only the embedded model");
try {
  await bundles();
  commandLines();
  arm64();
  for (const name of Object.keys(browsers)) await pages(name);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
report();

async function bundles() {
  if (bytes > 6 * MEGABYTE) problems.push(`the tarball has ${bytes} bytes`);
  // The engine minified for browsers, the same as text, the same readable for Node, the chat page, docs.
  if (bytesWithoutModel > 1.2 * MEGABYTE) problems.push(`without the model the tarball has ${bytesWithoutModel} bytes`);
  const sizes = await buildPages(folder);
  const engine = (files) => files.filter(({ name }) => /\.m?js$/.test(name));
  const sum = (files) => files.reduce((bytes, { gzip }) => bytes + gzip, 0);
  console.log(
    `tarball ${(bytes / MEGABYTE).toFixed(2)} MB, ${(bytesWithoutModel / 1e3).toFixed(0)} kB without the model`,
  );
  for (const [bundler, files] of Object.entries(sizes))
    console.log(
      `${bundler}: ${files.map(({ name, bytes, gzip }) => `${name} ${bytes} (${gzip} with gzip)`).join(", ")}`,
    );
  for (const bundler of ["esbuild", "node"])
    if (sum(engine(sizes[bundler])) > 0.4 * MEGABYTE) problems.push(`the ${bundler} bundle is too big`);
  if (!sizes.vite.some(({ name }) => name.endsWith(".gguf"))) problems.push("Vite left the imported model out");
  if (sizes.esbuild.some(({ name }) => name.endsWith(".gguf"))) problems.push("esbuild took a model nobody asked for");
  check("bundled for Node", () =>
    run(process.execPath, [
      join(folder, "built/node/bundle.mjs"),
      join(folder, "node_modules/deltallm/weights/story.gguf"),
    ]),
  );
  check("jsr.json has the version of package.json", () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8"));
    if (JSON.parse(readFileSync("jsr.json", "utf8")).version !== version) throw new Error("no");
    if (!readFileSync("jsr/mod.ts", "utf8").includes(`npm:deltallm@${version}"`)) throw new Error("not in jsr/mod.ts");
  });
  check("publint", () => run("npx", ["--no-install", "publint", tarball, "--strict"]));
  const attw = join("runtime-tests", "node_modules", ".bin", "attw");
  check("attw", () => run(attw, [tarball, "--profile", "esm-only", "--exclude-entrypoints", "story.gguf"]));
}

function commandLines() {
  const runtimes = { current: process.execPath, ...installRuntimes() };
  for (const [name, binary] of Object.entries(runtimes)) {
    const args = name === "deno" ? ["run", "-A"] : [];
    const env = { ...process.env, NO_COLOR: "1" };
    if (!wanted(name)) continue;
    check(`${name}: the README's example`, () => {
      const text = run(binary, [...args, "example.mjs"], { cwd: folder, env });
      if (!/\d+ logits at \d+ tokens/.test(text)) throw new Error(text);
    });
    check(`${name}: an uncaught error is short and says its name`, () => {
      const options = { cwd: folder, env, encoding: "utf8" };
      const { status, stderr } = spawnSync(binary, [...args, "uncaught.mjs"], options);
      // A runtime shows the source line where it was thrown: a minified one fills the screen.
      if (status === 0 || stderr.length > 4000 || !/\bSourceError\b/.test(stderr))
        throw new Error(stderr.slice(0, 2000));
    });
    for (const threads of ["1", "2"])
      row(`${name}`, process.arch, () =>
        JSON.parse(run(binary, [...args, "run.mjs", threads, ...smollm2], { cwd: folder, env })),
      );
    if (name !== "deno") continue;
    check("deno check", () => run(binary, ["check", "types.ts"], { cwd: folder, env }));
    // Where the npm package is installed already: JSR has only its other name.
    for (const part of ["jsr", "jsr.json", "LICENSE", "README.md"])
      cpSync(part, join(folder, part), { recursive: true });
    check("deno publish", () => run(binary, ["publish", "--dry-run", "--allow-dirty"], { cwd: folder, env }));
  }
  if (Object.keys(runtimes).length === 1) skipped.push("Node 20, 22, 24, Deno and Bun: not packaged for this system");
}

function arm64() {
  if (!wanted("arm64")) return;
  const { command, args, env, how, missing } = arm64Node();
  if (missing) skipped.push(`arm64: ${missing} (scripts/install-browsers.sh installs it)`);
  else
    for (const threads of ["1", "2"])
      row(`node24 (${how})`, "arm64", () =>
        JSON.parse(
          run(command, [...args, "run.mjs", threads, ...smollm2], { cwd: folder, env: { ...process.env, ...env } }),
        ),
      );
}

async function pages(name) {
  if (!wanted(name)) return;
  if (!browsers[name]) {
    skipped.push(`${name}: not installed (scripts/install-browsers.sh installs it)`);
    return;
  }
  const policy = { "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'" };
  const mounts = { "/": folder, "/package/": join(folder, "node_modules/deltallm") };
  // A download for each page would be slow: two pages, with and without threads, are enough for the second model.
  const second = smollm2.map((path) => `&smollm2=/models/${basename(path)}`).join("");
  for (const path of smollm2) mounts["/models/"] = dirname(path);
  const cases = [
    ["page", "/pages/plain.html", isolation, second],
    ["page, not isolated", "/pages/plain.html", {}, second],
    ["in a worker", "/pages/worker.html", isolation],
    ["with workerUrl", "/pages/worker-url.html", isolation],
    ["strict CSP", "/pages/csp.html", { ...isolation, ...policy }],
    ["built by Vite", "/built/vite/app.html", isolation],
    ["one file by esbuild", "/built/esbuild/esbuild.html", isolation],
  ];
  // A page that gave nothing at all is opened once more, in a new browser. What it did report stands.
  const open = (browser, url) =>
    resultOf(browser, url).catch((error) => {
      if (!(error instanceof NoResult)) throw error;
      console.log(`AGAIN ${name}: ${error.message}`);
      return withBrowser(name, (another) => resultOf(another, url));
    });
  await withBrowser(name, async (browser) => {
    for (const [how, path, headers, more = ""] of cases) {
      const { server, url } = await serve(mounts, { headers });
      await rowOf(`${name}, ${how}`, process.arch, async () => {
        const { result, log } = await open(browser, `${url}${path}?source=/package/weights/story.gguf${more}`);
        const errors = log.filter((line) => !line.includes("favicon") && /Content.Security.Policy/i.test(line));
        return { ...result, failures: [...result.failures, ...errors] };
      });
      server.closeAllConnections();
      server.close();
    }
    await checkLater(`${name}: models by name`, () => testHub(name, join(folder, "node_modules/deltallm")));
    await checkLater(`${name}: the chat page, end to end`, () => testPage(name, join(folder, "node_modules/deltallm")));
    const vite = await viteServer(folder);
    await rowOf(`${name}, Vite's development server`, process.arch, async () => {
      return (await open(browser, `${vite.url}/app.html`)).result;
    });
    await vite.close();
  });
}

function check(what, test) {
  try {
    test();
    console.log(`ok    ${what}`);
  } catch (error) {
    problems.push(`${what}: ${causes(error)}`);
    console.log(`FAIL  ${what}: ${causes(error)}`);
  }
}

async function checkLater(what, test) {
  try {
    await test();
    check(what, () => {});
  } catch (error) {
    check(what, () => {
      throw error;
    });
  }
}

function row(runtime, architecture, test) {
  try {
    add(runtime, architecture, test());
  } catch (error) {
    add(runtime, architecture, { failures: [causes(error)] });
  }
}

async function rowOf(runtime, architecture, test) {
  try {
    add(runtime, architecture, await test());
  } catch (error) {
    add(runtime, architecture, { failures: [causes(error)] });
  }
}

function add(runtime, architecture, result) {
  const { failures, hashes = [], ...rest } = result;
  for (const each of hashes) rows.push({ runtime, architecture, ...rest, ...each });
  if (!hashes.length && !failures.length) failures.push("no hashes");
  console.log(`${failures.length ? "FAIL" : "ok  "}  ${runtime}, ${architecture}, ${result.threads ?? "?"} threads`);
  for (const failure of failures) {
    problems.push(`${runtime}: ${failure}`);
    console.log(`      ${failure}`);
  }
}

function report() {
  const table = [
    ["runtime", "architecture", "kernels", "threads", "model", "attention", "hash", "tokens/s", "longest pause"],
    ...rows.map((each) => [
      each.runtime,
      each.architecture,
      each.kernel,
      `${each.threads}`,
      each.model,
      each.attention,
      each.hash.slice(0, 16),
      each.tokensPerSecond.toFixed(0),
      each.longestPause === undefined ? "" : `${each.longestPause.toFixed(0)} ms`,
    ]),
  ];
  const widths = table[0].map((_, column) => Math.max(...table.map((line) => line[column].length)));
  console.log(`\n${table.map((line) => line.map((cell, i) => cell.padEnd(widths[i])).join("  ")).join("\n")}\n`);
  const published = JSON.parse(readFileSync("weights/hashes.json", "utf8"));
  const agreed = [];
  for (const [key, group] of grouped(rows, ({ model, settings }) => `${model}, ${settings}`)) {
    const hashes = new Set(group.map(({ hash }) => hash));
    const [{ model, settings, hash }] = group;
    const known = published.find((each) => each.name.startsWith(model) && each.settings === settings)?.hash;
    if (hashes.size > 1) problems.push(`${key}: ${hashes.size} different hashes`);
    else if (known !== hash) problems.push(`${key}: ${hash} instead of the published ${known}`);
    else agreed.push(`${key}: one hash over ${group.length} runs, the published one`);
  }
  for (const what of skipped) console.log(`SKIPPED: ${what}`);
  for (const line of agreed) console.log(line);
  for (const problem of problems) console.log(`PROBLEM: ${problem}`);
  if (problems.length) console.log(`${problems.length} problems`);
  process.exitCode = problems.length || !agreed.length ? 1 : 0;
}

function grouped(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}
