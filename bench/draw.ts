// Draws the plots of earlier runs again: node build/bench/draw.js RUN.json [FOLDER]
import { readFileSync } from "node:fs";
import type { Run } from "./harness/suite.js";
import { writePlots } from "./plots/write.js";

const [file = "", folder = "bench/results"] = process.argv.slice(2);
for (const path of writePlots(JSON.parse(readFileSync(file, "utf8")) as Run, folder)) console.log(path);
