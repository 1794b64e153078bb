// npm run measure -- NAME …   measures what tables of docs/ show: writes bench/measured/NAME.json, plots and pages
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { families } from "../harness/environment.js";
import { readFlags, wholeFlag } from "../harness/flags.js";
import { drawChart } from "../plots/chart.js";
import { chartsOf } from "../plots/charts.js";
import { documents } from "../tables/documents.js";
import type { PlainTable } from "../tables/measured.js";
import { positions } from "./positions.js";
import { quality } from "./quality.js";
import { readRuns, selectionHeads, zeroProducts } from "./runs.js";
import { calibrated, fileFlags, filesOf } from "./smollm2.js";
import { speed } from "./speed.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** Tables of a suite of `npm run bench`, and the words that choose its groups. */
const suites = {
  "selection-heads": { suite: "selection", only: ["selection", families().at(-1) as string], table: selectionHeads },
  "zero-products": { suite: "zeros", only: ["zeros"], table: zeroProducts },
};
/** Tables of SmolLM2. */
const models = ["selection-smollm2", "selection-perplexity", "selection-positions"] as const;
const known = [...Object.keys(suites), ...models];

const { values: flags, positionals: names } = readFlags(`npm run measure -- … (of ${known.join(", ")})`, {
  ...fileFlags,
  calibration: { type: "string", says: "FILE read the calibration of SmolLM2, or write it where there is none yet" },
  keep: {
    type: "string",
    says: "FOLDER selection-smollm2: keep caches of the long text there; a second run only measures",
  },
  prepare: { type: "boolean", default: false, says: "selection-smollm2: only fill that folder" },
  rounds: { type: "string", default: "5", says: "N rounds of selection-smollm2; default 5" },
  run: {
    type: "string",
    multiple: true,
    default: [],
    says: "FILE what `npm run bench -- --json` wrote, instead of running it",
  },
});
const unknown = names.find((name) => !known.includes(name));
if (unknown !== undefined || names.length === 0) {
  console.error(unknown === undefined ? "Say what to measure" : `There is no table ${unknown}`);
  console.error(`There are ${known.join(", ")}`);
  process.exit(2);
}

function ofSuite({ suite, only, table }: (typeof suites)[keyof typeof suites]): PlainTable {
  const folder = mkdtempSync(join(tmpdir(), "deltallm-measure-"));
  try {
    const files = [...flags.run];
    if (files.length === 0) {
      files.push(join(folder, "run.json"));
      const words = only.flatMap((word) => ["--only", word]);
      const bench = [join(root, "build/bench/main.js"), ...words, "--json", files[0] as string, "--results", folder];
      const { status } = spawnSync(process.execPath, ["--expose-gc", ...bench], { stdio: "inherit" });
      if (status !== 0) throw new Error("the benchmark failed");
    }
    const run = readRuns(files);
    const chart = chartsOf(run).get(suite);
    if (!chart) throw new Error(`${files.join(", ")}: nothing of ${suite}`);
    writeFileSync(join(root, `docs/${suite}.svg`), drawChart(chart));
    return table(run);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function ofModel(name: string): Promise<PlainTable | undefined> {
  const files = filesOf(flags);
  if (name === "selection-positions") return positions(files, flags.calibration);
  const calibration = await calibrated(files, { windowTokens: 8192, windows: 1, file: flags.calibration });
  if (name === "selection-perplexity") return quality(files, calibration);
  const { keep, prepare } = flags;
  return speed(files, { calibration, rounds: wholeFlag("rounds", flags.rounds), keep, prepare });
}

for (const name of names) {
  const table = name in suites ? ofSuite(suites[name as keyof typeof suites]) : await ofModel(name);
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  if (table) writeFileSync(join(root, `bench/measured/${name}.json`), `${JSON.stringify(table, undefined, 1)}\n`);
}
for (const [path, text] of documents(root)) writeFileSync(join(root, path), text);
process.exit(0);
