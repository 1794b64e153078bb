// Compiles assembly/ into the two kernel builds and embeds them in src/runtime/binaries.ts, so that no .wasm file can go
// missing. Both are compiled for shared memory; one byte tells the engine that, and without it they run on memory that is
// not shared. Skipped when nothing changed.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";

const targets = ["simd", "relaxed"];
/** The import of the memory, up to its flags: 3 for "has a maximum, is shared". */
const memoryImport = Buffer.from("\x03env\x06memory\x02\x03", "latin1");
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
  const at = bytes.indexOf(memoryImport);
  if (at < 0 || bytes.indexOf(memoryImport, at + 1) >= 0) throw new Error(`${target}: the memory import was not found`);
  const memoryFlags = at + memoryImport.length - 1;
  lines.push(`const ${target}: Binary = { memoryFlags: ${memoryFlags}, base64: "${bytes.toString("base64")}" };`);
}
lines.push(
  "",
  "/** The kernel builds, for shared memory. */",
  "export const binaries = { simd, relaxed };",
  "",
  "interface Binary {",
  "  /** Where the byte is that makes the memory shared (3) or not (1). */",
  "  memoryFlags: number;",
  "  base64: string;",
  "}",
  "",
);
writeFileSync(out, lines.join("\n"));
