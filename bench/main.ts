// npm run bench; -- --help shows the options
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { families, mostThreads, pickedKernel } from "./harness/environment.js";
import { readFlags, wholeFlag } from "./harness/flags.js";
import { measureGroup, plan } from "./harness/measure.js";
import { startAttendWorker } from "./harness/start-attend-worker.js";
import type { Environment, Result, Run, Size } from "./harness/suite.js";
import { groupTable, tableHead } from "./harness/table.js";
import { writePlots } from "./plots/write.js";
import { suites } from "./suites/index.js";

const { values: flags } = readFlags("npm run bench -- [--only WORD] [--full] [--json FILE]", {
  only: {
    type: "string",
    multiple: true,
    default: [],
    says: "WORD groups whose name contains it; several: all of them",
  },
  full: { type: "boolean", default: false, says: "more shapes, lengths and rounds: most of an hour, up to 6 GB" },
  smoke: { type: "boolean", default: false, says: "every case once, to see that it runs" },
  json: { type: "string", says: "FILE write all figures to it" },
  model: { type: "string", multiple: true, default: [], says: "FILE a GGUF file to measure too; any number of times" },
  threads: { type: "string", says: "N threads of the suites bandwidth, model and selection" },
  results: { type: "string", default: "bench/results", says: "FOLDER where the plots go" },
  list: { type: "boolean", default: false, says: "only print the names of the groups" },
});
const missing = flags.model.find((file) => !existsSync(file));
if (missing !== undefined) {
  console.error(`--model ${missing}: there is no such file`);
  process.exit(2);
}

const root = new URL("../../", import.meta.url);
const size: Size = flags.smoke ? "smoke" : flags.full ? "full" : "quick";
const known = families();
const environment: Environment = {
  size,
  families: known,
  parts: Object.fromEntries(
    known.map((family) => [
      family,
      new WebAssembly.Module(readFileSync(new URL(`build/bench-kernels/${family}.wasm`, root))),
    ]),
  ),
  threads: flags.threads === undefined ? await mostThreads() : wholeFlag("threads", flags.threads),
  startAttend: startAttendWorker,
  models: flags.model,
};
const planned = plan(suites, environment, flags.only);
if (planned.length === 0) {
  console.error(`Nothing is called ${flags.only.join(" ")}; --list shows the names`);
  process.exit(2);
}
if (flags.list) {
  for (const { suite, group } of planned) console.log(`${suite.name} ${group.name}`);
  process.exit(0);
}

const globals = globalThis as { Deno?: { version: { deno: string } }; Bun?: { version: string }; gc?: () => void };
const { version } = JSON.parse(readFileSync(new URL("package.json", root), "utf8")) as { version: string };
const run: Run = {
  format: "deltallm-bench",
  version: 1,
  date: new Date().toISOString(),
  package: version,
  size,
  machine: {
    processor: cpus()[0]?.model.trim() || "unknown",
    cores: cpus().length,
    memoryBytes: totalmem(),
    system: `${process.platform} ${process.arch}`,
  },
  runtime: globals.Deno
    ? `Deno ${globals.Deno.version.deno}`
    : globals.Bun
      ? `Bun ${globals.Bun.version}`
      : `Node ${process.versions.node}`,
  kernel: pickedKernel(),
  threads: environment.threads,
  results: [],
};
console.log(
  `deltallm ${version}, ${run.runtime}, ${run.machine.processor}, ${run.machine.cores} cores, ${run.machine.system}\n` +
    `kernels ${known.join(", ")}; picked: ${run.kernel.family}, ternary dots ${JSON.stringify(run.kernel.dots)}`,
);

const bar = (text: string) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};
const started = Date.now();
let shown = "";
for (const [i, each] of planned.entries()) {
  bar(`${i + 1}/${planned.length}  ${each.suite.name}: ${each.group.name}`);
  const results: Result[] = await measureGroup(each, size);
  // Memories of the group are gigabytes that the collector does not see.
  globals.gc?.();
  run.results.push(...results);
  bar("");
  if (shown !== each.suite.name) console.log(tableHead(each.suite));
  shown = each.suite.name;
  console.log(groupTable(results));
}
console.log(`\n${planned.length} groups, ${run.results.length} cases, ${((Date.now() - started) / 1000).toFixed(0)} s`);

if (flags.json) {
  mkdirSync(dirname(flags.json), { recursive: true });
  writeFileSync(flags.json, `${JSON.stringify(run, undefined, 1)}\n`);
  console.log(`figures: ${flags.json}`);
}
if (size !== "smoke") {
  const files = writePlots(run, flags.results);
  if (files.length) console.log(`plots: ${files.length} files in ${join(flags.results, "")}`);
}
process.exit(0);
