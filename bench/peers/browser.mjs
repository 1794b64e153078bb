// deltallm against wllama (llama.cpp as WebAssembly) on a page in Chromium, and deltallm in Node and native llama.cpp beside
// them, in turn, in one run; the same file and text:
//   node bench/peers/browser.mjs --model FILE.gguf [--theirs FILE.gguf] [--threads 1,2] [--prompt 128] [--decode 32]
//        [--rounds 3] [--no-native] [--json FILE] [--table bench/measured/NAME.json] [--label Q8_0]
// Needs the packages of this folder and of the browser tests: npm install --ignore-scripts in bench/peers and runtime-tests.
// --table writes the figures for `npm run tables`. With --label, which begins the name of each row, rows and rounds are added to
// those of an earlier call.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { basename, dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { resultOf, withBrowser } from "../../runtime-tests/browsers.mjs";
import { serve } from "../../scripts/web.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    theirs: { type: "string" },
    threads: { type: "string", default: "1,2" },
    prompt: { type: "string", default: "128" },
    decode: { type: "string", default: "32" },
    rounds: { type: "string", default: "3" },
    "no-native": { type: "boolean", default: false },
    json: { type: "string" },
    table: { type: "string" },
    label: { type: "string" },
  },
});
if (!values.model) throw new Error("Give --model FILE.gguf");
const { prompt, decode } = values;
const files = { deltallm: resolve(values.model), wllama: resolve(values.theirs ?? values.model) };
const path = (name) => fileURLToPath(new URL(name, import.meta.url));
// About four and a half letters make a token of these words; what each engine counts is in the result.
const words = "The history of the town begins with a mill by the river, where three roads meet. ";
const text = words.repeat(Math.ceil(Number(prompt) / 10)).slice(0, Math.round(Number(prompt) * 4.4));

// `serve` sends the headers of cross-origin isolation, without which a page has no threads.
const { server, url } = await serve({
  "/": path("."),
  "/dist/": path("../../dist"),
  "/weights/": path("../../weights"),
  "/wllama/": path("node_modules/@wllama/wllama"),
  "/ours/": dirname(files.deltallm),
  "/theirs/": dirname(files.wllama),
});

async function onPage(engine, threads) {
  const model = `${url}/${engine === "deltallm" ? "ours" : "theirs"}/${basename(files[engine])}`;
  const query = new URLSearchParams({ engine, model, threads, tokens: prompt, decode, text });
  return withBrowser("chromium", async (browser) => {
    const { result, log } = await resultOf(browser, `${url}/browser-page.html?${query}`, 900_000);
    if (result.error) throw new Error([result.error, ...log].join("\n"));
    return { browser: await browser.version(), ...result };
  });
}

const run = (script, ...options) =>
  JSON.parse(
    execFileSync(process.execPath, [path(script), ...options], { encoding: "utf8" })
      .trim()
      .split("\n")
      .at(-1),
  );
const native = (threads) =>
  run("native-llama.mjs", files.wllama, "--threads", threads, "--prompt", prompt, "--decode", decode);
const node = (threads) =>
  run(
    "../../dist/cli/main.js",
    ...["bench", "--model", files.deltallm, "--threads", threads, "-p", prompt, "-n", decode, "--json"],
  );

const rounds = [];
const digits = (number) => Number(number.toPrecision(4));
const samples = (name, work, threads) =>
  rounds
    .filter((round) => round.threads === threads && round[name])
    .map((round) => digits(round[name][work].tokensPerSecond));
const CHROMIUM = "deltallm, Chromium";
/** Titles of columns by what is measured. */
const engines = {
  deltallm: CHROMIUM,
  wllama: "wllama, Chromium",
  node: "deltallm, Node",
  ...(values["no-native"] ? {} : { native: "llama.cpp, native" }),
};
const columns = [
  { title: "tok/s" },
  { title: engines.deltallm, format: "1" },
  { title: engines.wllama, format: "1" },
  { title: "ratio to wllama", format: "1", ratio: [CHROMIUM, engines.wllama] },
  { title: engines.node, format: "1" },
  ...(values["no-native"]
    ? []
    : [
        { title: engines.native, format: "1" },
        { title: "ratio to native", format: "1", ratio: [CHROMIUM, engines.native] },
      ]),
];
const label = values.label ? `${values.label}, ` : "";
const rows = () =>
  values.threads
    .split(",")
    .flatMap((threads) =>
      ["prefill", "decode"].map((work) => [
        `${label}${work}, ${threads} ${threads === "1" ? "thread" : "threads"}`,
        ...Object.keys(engines).map((name) => samples(name, work, Number(threads))),
      ]),
    );
/** The table of earlier calls. */
const before =
  values.label && values.table && existsSync(values.table) ? JSON.parse(readFileSync(values.table, "utf8")) : undefined;
const allRows = () => {
  const all = new Map(before?.rows.map(([name, ...cells]) => [name, cells]));
  for (const [name, ...cells] of rows()) {
    const earlier = all.get(name);
    all.set(name, earlier ? cells.map((list, i) => [...earlier[i], ...list]) : cells);
  }
  return [...all].map(([name, cells]) => [name, ...cells]);
};
const command = `node bench/peers/browser.mjs --model ${basename(files.deltallm)} --threads ${values.threads} --prompt ${prompt} --decode ${decode}${values.label ? ` --label ${values.label}` : ""}`;
const packages = ["@wllama/wllama", ...(values["no-native"] ? [] : ["node-llama-cpp"])].map(
  (name) => `${name} ${JSON.parse(readFileSync(path(`node_modules/${name}/package.json`), "utf8")).version}`,
);
const table = () => ({
  kind: "table",
  measured: `${new Date().toISOString().slice(0, 10)}, ${rounds[0].deltallm.browser}, Node ${process.versions.node}, ${packages.join(", ")}, ${cpus()[0].model.trim()} × ${cpus().length}, ${rounds[0].deltallm.prefill.tokens} + ${decode} tokens in Chromium, ${prompt} + ${decode} outside`,
  commands: [...(before?.commands ?? []).filter((line) => line !== command), command],
  columns,
  rows: allRows(),
});

try {
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const threads of values.threads.split(",")) {
      const measured = { threads: Number(threads), deltallm: await onPage("deltallm", threads) };
      measured.wllama = await onPage("wllama", threads);
      measured.node = node(threads);
      if (!values["no-native"]) measured.native = native(threads);
      rounds.push(measured);
      const speeds = ({ prefill, decode }) =>
        `${prefill.tokensPerSecond.toFixed(1)} / ${decode.tokensPerSecond.toFixed(1)}`;
      const all = Object.keys(engines).map((name) => `${name} ${speeds(measured[name])}`);
      console.error(`round ${round + 1}, ${threads} threads, prefill / decode: ${all.join(", ")} tok/s`);
    }
    // After every round, so that a run that is cut off leaves what it has.
    if (values.json) writeFileSync(values.json, `${JSON.stringify(rounds, null, 1)}\n`);
    if (values.table) writeFileSync(values.table, `${JSON.stringify(table(), null, 1)}\n`);
  }
} finally {
  server.close();
}
if (!values.table) console.log(JSON.stringify(table(), null, 1));
