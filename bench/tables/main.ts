// npm run tables [-- --check]
// Writes the tables and plots of docs/ anew from the figures in bench/measured; --check only says which differ.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readFlags } from "../harness/flags.js";
import { documents } from "./documents.js";

const {
  values: { check },
} = readFlags("npm run tables -- [--check]", {
  check: { type: "boolean", default: false, says: "only say which files of docs differ" },
});
const root = fileURLToPath(new URL("../../../", import.meta.url));
let different = 0;
for (const [path, text] of documents(root)) {
  const file = join(root, path);
  if (existsSync(file) && readFileSync(file, "utf8") === text) continue;
  different++;
  if (!check) writeFileSync(file, text);
  console.log(`${path} ${check ? "differs" : "written"}`);
}
if (different === 0) console.log("docs/ has the figures of bench/measured");
process.exitCode = check && different > 0 ? 1 : 0;
