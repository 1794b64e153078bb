// Checks the shape of the code and prints what breaks it: circles of imports, imports from a lower floor to a higher one,
// files over 300 lines, kernels with more than 8 arguments, functions with more than 6 positional ones. Part of CI.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** The floors from the ground up; a module may import from its own floor and those below. docs/architecture.md explains them. */
const floors = [
  ["errors", "config", "platform"],
  ["kernels"],
  ["memory"],
  ["threads"],
  ["formats", "hub", "embedded", "tokenizer"],
  ["matmul", "kv"],
  ["attention"],
  ["model"],
  ["constraints", "tools"],
  ["calibration"],
  ["generate"],
  ["load-engine"],
  ["remote", "browser"],
  ["load", "index", "story", "types"],
  ["adapters", "server", "eval"],
  ["cli"],
];
const LINES = 300;
const KERNEL_ARGUMENTS = 8;
const POSITIONAL_ARGUMENTS = 6;
const problems = [];

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

const floorOf = (file) => floors.findIndex((names) => names.includes(file.split("/")[1].replace(/\.ts$/, "")));
for (const [file, imports] of graph) {
  if (floorOf(file) < 0) problems.push(`${file}: on no floor; add its folder to the floors in this script`);
  for (const { to, type } of imports)
    if (!type && floorOf(to) > floorOf(file)) problems.push(`${file} imports ${to}, which is on a higher floor`);
}
for (const circle of circles()) problems.push(`a circle of imports: ${circle.join(" → ")}`);
for (const [file, text] of texts) {
  const lines = text.split("\n").length - 1;
  if (lines > LINES) problems.push(`${file}: ${lines} lines`);
  if (file.startsWith("test")) continue;
  const most = file.startsWith("assembly") ? KERNEL_ARGUMENTS : POSITIONAL_ARGUMENTS;
  for (const { name, count } of signatures(text, file.startsWith("assembly")))
    if (count > most) problems.push(`${file}: ${name} takes ${count} arguments`);
}
for (const problem of problems) console.log(problem);
console.log(`structure: ${graph.size} modules, ${problems.length} problems`);
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
