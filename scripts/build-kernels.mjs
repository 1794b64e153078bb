// Writes what TypeScript must know of assembly/ to src/kernels/generated.ts. Compiles assembly/ into the two kernel builds
// and embeds them in src/kernels/binaries.ts, so that no .wasm file can go missing: deflated, and the second as what differs from the first. Both are compiled for shared memory; one byte tells the engine that, and without it they run on memory that is
// not shared. Skipped when nothing changed.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import asc from "assemblyscript/asc";
import { kernelContract } from "./kernel-contract.mjs";

const targets = ["simd", "relaxed"];
/** The import of the memory, up to its flags: 3 for "has a maximum, is shared". */
const memoryImport = Buffer.from("\x03env\x06memory\x02\x03", "latin1");
const out = "src/kernels/binaries.ts";
const contract = "src/kernels/generated.ts";

const inputs = readdirSync("assembly", { recursive: true })
  .map(String)
  .filter((name) => name.endsWith(".ts"))
  .sort()
  .map((name) => join("assembly", name));
const hash = createHash("sha256");
for (const file of [
  ...inputs,
  "asconfig.json",
  "package-lock.json",
  "scripts/build-kernels.mjs",
  "scripts/kernel-contract.mjs",
])
  hash.update(file).update(readFileSync(file));
const stamp = `// ${hash.digest("hex")}`;
const current = (file) => existsSync(file) && readFileSync(file, "utf8").startsWith(stamp);
if (current(out) && current(contract)) process.exit(0);

writeFileSync(contract, await kernelContract(stamp));
mkdirSync("build/kernels", { recursive: true });
const lines = [stamp, "// Written by scripts/build-kernels.mjs from assembly/; not committed.", ""];
let first;
for (const target of targets) {
  const { error, stderr } = await asc.main(["--config", "asconfig.json", "--target", target]);
  if (error) {
    console.error(stderr.toString());
    process.exit(1);
  }
  const bytes = readFileSync(`build/kernels/${target}.wasm`);
  const at = bytes.indexOf(memoryImport);
  if (at < 0 || bytes.indexOf(memoryImport, at + 1) >= 0) throw new Error(`${target}: the memory import was not found`);
  const memoryFlags = at + memoryImport.length - 1;
  const content = first ? patch(first, bytes) : bytes;
  first ??= bytes;
  const packed = deflateRawSync(content, { level: 9 });
  console.error(`kernels ${target}: ${bytes.length} bytes, ${packed.length} packed`);
  lines.push(
    `const ${target}: Binary = { memoryFlags: ${memoryFlags}, length: ${content.length}, deflated: "${packed.toString("base64")}" };`,
  );
}
lines.push(
  "",
  "/** The kernel builds, for shared memory; `relaxed` as a patch of `simd`. */",
  "export const binaries = { simd, relaxed };",
  "",
  "interface Binary {",
  "  /** Where the byte is that makes the memory shared (3) or not (1). */",
  "  memoryFlags: number;",
  "  /** Bytes once inflated. */",
  "  length: number;",
  "  /** Raw deflate, in base64. */",
  "  deflated: string;",
  "}",
  "",
);
writeFileSync(out, lines.join("\n"));

/**
 * What turns `from` into `to`: a sequence of (bytes to copy, where from, new bytes that follow), the numbers as LEB128,
 * then the new bytes. Read by src/kernels/unpack.ts.
 */
function patch(from, to) {
  const UNIT = 16;
  const places = new Map();
  for (let at = 0; at + UNIT <= from.length; at++) {
    const key = from.toString("latin1", at, at + UNIT);
    if (!places.has(key)) places.set(key, at);
  }
  const steps = [];
  const fresh = [];
  let step = { copied: 0, source: 0, inserted: 0 };
  for (let at = 0; at < to.length; ) {
    // What follows the last copy in the other build first: the two run side by side.
    const aside = step.source + step.copied + step.inserted;
    const known = to.toString("latin1", at, at + UNIT);
    const source = from.toString("latin1", aside, aside + UNIT) === known ? aside : places.get(known);
    if (source === undefined || known.length < UNIT) {
      fresh.push(to[at++]);
      step.inserted++;
      continue;
    }
    steps.push(step);
    step = { copied: 0, source, inserted: 0 };
    while (at < to.length && to[at] === from[source + step.copied]) {
      step.copied++;
      at++;
    }
  }
  steps.push(step);
  const numbers = [
    to.length,
    steps.length,
    ...steps.flatMap(({ copied, source, inserted }) => [copied, source, inserted]),
  ];
  return Buffer.from([...numbers.flatMap(leb128), ...fresh]);
}

function leb128(number) {
  const bytes = [];
  for (; number > 127; number >>>= 7) bytes.push((number & 127) | 128);
  return [...bytes, number];
}
