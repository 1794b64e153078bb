// npm run sweep:report -- SWEEP.json|FOLDER … REPORT.md; --help shows the options
// Writes the report of a sweep (`deltallm eval --sweep … --out FOLDER`), with its plots as SVG files beside it.
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { SweepSummary } from "#src/eval/sweep.js";
import { readFlags } from "./harness/flags.js";
import { drawChart } from "./plots/chart.js";
import { sweepReport } from "./report/sweep.js";

const { values: flags, positionals } = readFlags("npm run sweep:report -- SWEEP.json|FOLDER … REPORT.md", {
  note: { type: "string", default: "", says: "TEXT where and on what it was measured" },
  name: { type: "string", says: "MODEL its name for people, instead of that in its file" },
  stats: { type: "string", multiple: true, default: [], says: "SWEEP take sparsities, bytes and speed from this one" },
  "no-speed": { type: "boolean", default: false, says: "leave speed out: something else was running" },
});
const output = positionals.pop();
if (!output?.endsWith(".md") || positionals.length === 0) {
  console.error("Give the JSON or the folder of a sweep, or of several, and the name of the report, which ends in .md");
  process.exit(2);
}
function read(input: string): SweepSummary {
  const file = statSync(input).isDirectory() ? join(input, "sweep.json") : input;
  const sweep = JSON.parse(readFileSync(file, "utf8")) as SweepSummary;
  if (sweep.format !== "deltallm-sweep" || sweep.version !== 1) {
    console.error(`${file} is no sweep: deltallm eval --sweep … --out FOLDER writes FOLDER/sweep.json`);
    process.exit(2);
  }
  return sweep;
}
const { markdown, charts } = sweepReport(positionals.map(read), basename(output, ".md"), {
  note: flags.note,
  name: flags.name,
  stats: flags.stats.map(read),
  speed: !flags["no-speed"],
});
mkdirSync(dirname(output), { recursive: true });
writeFileSync(output, markdown);
for (const [name, chart] of charts) writeFileSync(join(dirname(output), name), drawChart(chart));
console.log(`${output}, ${charts.size} plots beside it`);
