import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Run } from "../harness/suite.js";
import { drawChart } from "./chart.js";
import { chartsOf } from "./charts.js";

/** Writes the plots of a run as SVG files; returns their paths. */
export function writePlots(run: Run, folder: string): string[] {
  mkdirSync(folder, { recursive: true });
  return [...chartsOf(run)].map(([name, chart]) => {
    const file = join(folder, `${name}.svg`);
    writeFileSync(file, drawChart(chart));
    return file;
  });
}
