// Compiles assembly/ into the four kernel builds and embeds them in src/runtime/binaries.ts, so that no .wasm file can
// go missing. Skipped when nothing changed.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";

const targets = ["simd", "relaxed", "simd-shared", "relaxed-shared"];
const out = "src/runtime/binaries.ts";

const inputs = readdirSync("assembly", { recursive: true })
  .map(String)
  .filter((name) => name.endsWith(".ts"))
  .sort()
  .map((name) => join("assembly", name));
const hash = createHash("sha256");
for (const file of [...inputs, "asconfig.json", "package-lock.json", "scripts/build-kernels.mjs"])
  hash.update(file).update(readFileSync(file));
const stamp = `// ${hash.digest("hex")}`;
if (existsSync(out) && readFileSync(out, "utf8").startsWith(stamp)) process.exit(0);

mkdirSync("build/kernels", { recursive: true });
const lines = [stamp, "// Written by scripts/build-kernels.mjs from assembly/; not committed.", ""];
for (const target of targets) {
  const { error, stderr } = await asc.main(["--config", "asconfig.json", "--target", target]);
  if (error) {
    console.error(stderr.toString());
    process.exit(1);
  }
  const bytes = readFileSync(`build/kernels/${target}.wasm`);
  console.error(`kernels ${target}: ${bytes.length} bytes`);
  lines.push(`const ${target.replace("-s", "S")}: string = "${bytes.toString("base64")}";`);
}
lines.push(
  "",
  "/** The kernel builds, as base64 of WebAssembly modules. */",
  'export const binaries = { simd, relaxed, "simd-shared": simdShared, "relaxed-shared": relaxedShared };',
  "",
);
writeFileSync(out, lines.join("\n"));
