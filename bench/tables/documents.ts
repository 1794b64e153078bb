import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { drawChart } from "../plots/chart.js";
import { sweepReport } from "../report/sweep.js";
import type { Measured } from "./measured.js";
import { renderTable } from "./render.js";

/** `<!-- table: NAME -->`, the table, `<!-- /table -->`: NAME is a file of `bench/measured` without `.json`. */
const marked = /(<!-- table: ([\w-]+) -->\n)[\s\S]*?(<!-- \/table -->)/g;

/**
 * The files of `docs` that have figures from `bench/measured`, by path, as they should be: pages with marked tables, pages
 * of sweeps and their plots.
 * @param root of the repository
 */
export function documents(root: string): Map<string, string> {
  const folder = join(root, "bench/measured");
  const logs = new Map<string, Measured>();
  for (const file of readdirSync(folder).sort())
    if (file.endsWith(".json"))
      logs.set(basename(file, ".json"), JSON.parse(readFileSync(join(folder, file), "utf8")) as Measured);
  const unused = new Set(logs.keys());
  const texts = new Map<string, string>();
  for (const [name, log] of logs) {
    if (log.kind !== "sweep") continue;
    unused.delete(name);
    const { markdown, charts } = sweepReport(log.sweeps, name, {
      note: log.note,
      name: log.name,
      stats: log.stats,
      speed: false,
    });
    texts.set(`docs/${name}.md`, markdown);
    for (const [file, chart] of charts) texts.set(`docs/${file}`, drawChart(chart));
  }
  for (const file of readdirSync(join(root, "docs")).sort()) {
    if (!file.endsWith(".md")) continue;
    const text = readFileSync(join(root, "docs", file), "utf8");
    const made = text.replace(marked, (_, begin: string, name: string, end: string) => {
      const log = logs.get(name);
      if (!log) throw new Error(`docs/${file}: there is no bench/measured/${name}.json`);
      unused.delete(name);
      return `${begin}\n${renderTable(name, log)}\n\n${end}`;
    });
    if (marked.test(text)) texts.set(`docs/${file}`, made);
    marked.lastIndex = 0;
  }
  if (unused.size > 0) throw new Error(`No page of docs uses bench/measured/${[...unused].join(".json, ")}.json`);
  return texts;
}
