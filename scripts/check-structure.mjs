// Checks the shape of the code and prints what breaks it: circles of imports, imports from a lower floor to a higher one,
// files over 300 lines, kernels with more than 8 arguments, functions with more than 6 positional ones. Part of CI.
// A kernel is what assembly/index.ts exports, so what TypeScript calls. Helpers inside assembly may take more: they are
// inlined, and a record in memory would cost them loads in their innermost loops.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** The floors from the ground up; a module may import from its own floor and those below. docs/architecture.md explains them. */
const floors = [
  ["errors", "config", "platform", "check-options"],
  ["kernels"],
  ["memory"],
  ["threads"],
  // Architectures are descriptions: a formula gets the pass it works on, and imports nothing from above.
  ["formats", "model/architectures", "embedded", "tokenizer"],
  ["matmul", "kv"],
  ["attention"],
  ["model"],
  ["constraints", "tools"],
  ["calibration"],
  ["generate"],
  ["hub"],
  ["load-engine"],
  ["remote", "browser"],
  ["load", "index", "story", "types"],
  ["adapters", "server", "eval"],
  ["cli"],
];
const LINES = 300;
const KERNEL_ARGUMENTS = 8;
const POSITIONAL_ARGUMENTS = 6;
/** What is let through, and why. An entry that lets nothing through is a problem itself. */
const allowed = {
  "test/cli/commands.test.ts: lines": "short tests of the commands with one set-up",
  "test/formats/gguf-errors.test.ts: lines": "one table of damaged files",
  "test/hub/faults.test.ts: lines": "faults of one server, with one set-up",
};
const problems = [];
const used = new Set();
/** Notes a problem, unless it is let through. */
function report(key, text) {
  if (key in allowed) used.add(key);
  else problems.push(text);
}

const files = (folder) =>
  readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(".ts") && !/node_modules|(binaries|generated)\.ts$/.test(name))
    .map((name) => join(folder, name));
const sources = files("src");
const texts = new Map(
  [...sources, ...files("assembly"), ...files("test"), ...files("bench")].map((file) => [
    file,
    readFileSync(file, "utf8"),
  ]),
);

/** Imports of a module, those that are only of types apart: they cost nothing at run time and may look upwards. */
function importsOf(file) {
  const text = texts.get(file);
  const found = [];
  for (const [, kind, from] of text.matchAll(/^(?:import|export)(\s+type)?\s[^;]*?from\s+"(\.[^"]+)\.js"/gm))
    found.push({ to: `${normalize(join(dirname(file), from))}.ts`, type: kind !== undefined });
  return found;
}
const graph = new Map(sources.map((file) => [file, importsOf(file).filter(({ to }) => texts.has(to))]));

/** Where a module stands; a folder may have another floor than the one it lies in. */
function floorOf(file) {
  const parts = file.replace(/\.ts$/, "").split("/").slice(1);
  for (let length = parts.length; length > 0; length--) {
    const floor = floors.findIndex((names) => names.includes(parts.slice(0, length).join("/")));
    if (floor >= 0) return floor;
  }
  return -1;
}
for (const [file, imports] of graph) {
  if (floorOf(file) < 0) problems.push(`${file}: on no floor; add its folder to the floors in this script`);
  for (const { to, type } of imports)
    if (!type && floorOf(to) > floorOf(file))
      report(`${file} imports ${to}`, `${file} imports ${to}, which is on a higher floor`);
}
for (const circle of circles()) problems.push(`a circle of imports: ${circle.join(" → ")}`);
const kernels = kernelNames();
for (const [file, text] of texts) {
  const lines = text.split("\n").length - 1;
  if (lines > LINES) report(`${file}: lines`, `${file}: ${lines} lines`);
  if (file.startsWith("test")) continue;
  const assembly = file.startsWith("assembly");
  const most = assembly ? KERNEL_ARGUMENTS : POSITIONAL_ARGUMENTS;
  for (const { name, count } of signatures(text, assembly)) {
    if (assembly && !kernels.has(name)) continue;
    if (count > most) report(`${file}: ${name}`, `${file}: ${name} takes ${count} arguments`);
  }
}
for (const key of Object.keys(allowed)) if (!used.has(key)) problems.push(`no longer needed in this script: ${key}`);
for (const problem of problems) console.log(problem);
console.log(`structure: ${graph.size} modules, ${problems.length} problems, ${used.size} explained exceptions`);
process.exit(problems.length ? 1 : 0);

/** Circles of imports that run, each once. */
function circles() {
  const found = [];
  const state = new Map();
  const path = [];
  const visit = (file) => {
    state.set(file, "open");
    path.push(file);
    for (const { to, type } of graph.get(file) ?? []) {
      if (type) continue;
      if (state.get(to) === "open") found.push([...path.slice(path.indexOf(to)), to]);
      else if (!state.has(to)) visit(to);
    }
    path.pop();
    state.set(file, "done");
  };
  for (const file of graph.keys()) if (!state.has(file)) visit(file);
  return found;
}

/** Names of the kernels, as the build lists them for TypeScript. */
function kernelNames() {
  const generated = readFileSync("src/kernels/generated.ts", "utf8");
  return new Set([...generated.matchAll(/^ {2}(\w+)\(.*\): \w+;$/gm)].map(([, name]) => name));
}

/** Exported functions (or all, in TypeScript) and how many arguments they take. */
function signatures(text, exportedOnly) {
  const found = [];
  const pattern = exportedOnly
    ? /^export function (\w+)(?:<[^>]*>)?\(/gm
    : /^\s*(?:export )?(?:async )?function\*? (\w+)(?:<[^(]*>)?\(/gm;
  for (const match of text.matchAll(pattern)) {
    let depth = 0;
    let count = 0;
    let empty = true;
    for (let at = match.index + match[0].length; at < text.length; at++) {
      const sign = text[at];
      if (/[({[]/.test(sign)) depth++;
      else if (/[)}\]]/.test(sign)) {
        if (sign === ")" && depth === 0) break;
        depth--;
      } else if (
        sign === "," &&
        depth === 0 &&
        /\S/.test(text.slice(at + 1).match(/^\s*(\S)/)?.[1] ?? ")") &&
        !/^\s*\)/.test(text.slice(at + 1))
      )
        count++;
      if (/\S/.test(sign)) empty = false;
    }
    found.push({ name: match[1], count: empty ? 0 : count + 1 });
  }
  return found;
}
