// Entry for Node, Deno and Bun, inside the folder where the package is installed: prints one line of JSON.
//   run.mjs [threads [file of SmolLM2]]
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import * as deltallm from "deltallm";
import { runSuite } from "./suite.mjs";

const threads = Number(process.argv[2]) || undefined;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const bytes = new Uint8Array(await readFile(here("node_modules/deltallm/weights/story.gguf")));
const smollm2 = process.argv[3] && {
  source: process.argv[3],
  calibration: JSON.parse(await readFile(here("smollm2.calibration.json"), "utf8")),
};
console.log(JSON.stringify(await runSuite(deltallm, "embedded", { threads }, { bytes, smollm2 })));
