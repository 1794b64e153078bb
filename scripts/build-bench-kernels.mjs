// Compiles assembly/bench, the parts of attention that bench/ times one by one, to build/bench-kernels. Skipped when
// nothing changed.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";

const out = "build/bench-kernels";
const config = "assembly/bench/asconfig.json";
const folders = ["assembly/bench", "assembly/attention", "assembly/ops"];
const hash = createHash("sha256");
for (const file of folders.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name))).sort())
  hash.update(file).update(readFileSync(file));
const stamp = hash.update(readFileSync("package-lock.json")).digest("hex");
if (existsSync(`${out}/stamp`) && readFileSync(`${out}/stamp`, "utf8") === stamp) process.exit(0);

mkdirSync(out, { recursive: true });
for (const target of ["simd", "relaxed"]) {
  const { error, stderr } = await asc.main(["--config", config, "--target", target]);
  if (error) {
    console.error(stderr.toString());
    process.exit(1);
  }
}
writeFileSync(`${out}/stamp`, stamp);
