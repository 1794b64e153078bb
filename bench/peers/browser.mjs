// deltallm against wllama (llama.cpp as WebAssembly) on a page in Chromium, and native llama.cpp beside them, in turn, in one
// run; the same file and text:
//   node bench/peers/browser.mjs --model FILE.gguf [--theirs FILE.gguf] [--threads 1,2] [--prompt 128] [--decode 32]
//        [--rounds 3] [--no-native] [--json FILE] [--table bench/measured/NAME.json]
// Needs the packages of this folder and of the browser tests: npm install --ignore-scripts in bench/peers and runtime-tests.
// --table writes the figures for `npm run tables`.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
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

function native(threads) {
  const options = ["--threads", threads, "--prompt", prompt, "--decode", decode];
  return JSON.parse(
    execFileSync(process.execPath, [path("native-llama.mjs"), files.wllama, ...options], { encoding: "utf8" })
      .trim()
      .split("\n")
      .at(-1),
  );
}

const rounds = [];
const digits = (number) => Number(number.toPrecision(4));
const samples = (name, work, threads) =>
  rounds
    .filter((round) => round.threads === threads && round[name])
    .map((round) => digits(round[name][work].tokensPerSecond));
const columns = [
  { title: "tok/s" },
  { title: "deltallm", format: "1" },
  { title: "wllama", format: "1" },
  { title: "deltallm / wllama", format: "2", ratio: ["deltallm", "wllama"] },
  ...(values["no-native"]
    ? []
    : [
        { title: "native", format: "1" },
        { title: "deltallm / native", format: "2", ratio: ["deltallm", "native"] },
      ]),
];
const rows = () =>
  values.threads
    .split(",")
    .flatMap((threads) =>
      ["prefill", "decode"].map((work) => [
        `${work}, ${threads} ${threads === "1" ? "thread" : "threads"}`,
        ...columns
          .filter(({ title, ratio }) => !ratio && title in rounds[0])
          .map(({ title }) => samples(title, work, Number(threads))),
      ]),
    );
const packages = ["@wllama/wllama", ...(values["no-native"] ? [] : ["node-llama-cpp"])].map(
  (name) => `${name} ${JSON.parse(readFileSync(path(`node_modules/${name}/package.json`), "utf8")).version}`,
);
const table = () => ({
  kind: "table",
  measured: `${new Date().toISOString().slice(0, 10)}, ${rounds[0].deltallm.browser}, ${packages.join(", ")}, ${cpus()[0].model.trim()} × ${cpus().length}, ${rounds[0].deltallm.prefill.tokens} + ${decode} tokens`,
  commands: [
    `node bench/peers/browser.mjs --model ${basename(files.deltallm)} --threads ${values.threads} --prompt ${prompt} --decode ${decode} --rounds ${values.rounds}`,
  ],
  columns,
  rows: rows(),
});

try {
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const threads of values.threads.split(",")) {
      const measured = { threads: Number(threads), deltallm: await onPage("deltallm", threads) };
      measured.wllama = await onPage("wllama", threads);
      if (!values["no-native"]) measured.native = native(threads);
      rounds.push(measured);
      const speeds = ({ prefill, decode }) =>
        `${prefill.tokensPerSecond.toFixed(1)} / ${decode.tokensPerSecond.toFixed(1)}`;
      const engines = ["deltallm", "wllama", "native"].filter((name) => measured[name]);
      console.error(
        `round ${round + 1}, ${threads} threads, prefill / decode: ${engines.map((name) => `${name} ${speeds(measured[name])}`).join(", ")} tok/s`,
      );
    }
    // After every round, so that a run that is cut off leaves what it has.
    if (values.json) writeFileSync(values.json, `${JSON.stringify(rounds, null, 1)}\n`);
    if (values.table) writeFileSync(values.table, `${JSON.stringify(table(), null, 1)}\n`);
  }
} finally {
  server.close();
}
if (!values.table) console.log(JSON.stringify(table(), null, 1));
