// Checks the shape of the code and prints what breaks it: circles of imports, imports from a lower floor to a higher one,
// files over 300 lines, kernels with more than 8 arguments, functions with more than 6 positional ones. Part of CI.
// A kernel is what assembly/index.ts exports, so what TypeScript calls. Helpers inside assembly may take more: they are
// inlined, and a record in memory would cost them loads in their innermost loops.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** The floors from the ground up; a module may import from its own floor and those below. docs/architecture.md explains them. */
const floors = [
  ["errors", "config", "platform", "types"],
  ["kernels"],
  ["memory"],
  ["threads"],
  // Architectures are descriptions: a formula gets the pass it works on, and imports nothing from above.
  ["formats", "check-signal", "model/architectures", "tokenizer"],
  ["matmul", "kv"],
  ["attention"],
  ["model"],
  ["hub", "embedded"],
  // The list of the public types; those that all floors share are in the folder `types`.
  ["types.ts", "check-options"],
  ["constraints", "tools"],
  ["calibration"],
  ["generate"],
  ["load-engine"],
  ["remote", "browser"],
  ["load", "index", "story"],
  ["adapters", "server", "eval"],
  ["cli"],
];
const LINES = 300;
const KERNEL_ARGUMENTS = 8;
const POSITIONAL_ARGUMENTS = 6;
/** What is let through, and why. An entry that lets nothing through is a problem itself. */
const allowed = {
  "src/model/architectures imports src/model/pass.ts": "the type of the operations that a layer is written in",
  "src/model/architectures imports src/model/plan.ts": "the type of the weights that they are given",
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

/** Modules that a module names in an import of any kind, those of types alone and `import()` included. */
function importsOf(file) {
  const found = new Set();
  for (const [, from, called] of texts.get(file).matchAll(/\bfrom\s*"([^"]+)"|\bimport\s*\(?\s*"([^"]+)"/g)) {
    const name = (from ?? called).replace(/\.js$/, "");
    if (!/^(\.|#src\/)/.test(name)) continue;
    const path = name.startsWith("#src/") ? join("src", name.slice(5)) : normalize(join(dirname(file), name));
    const to = [path, `${path}.ts`, join(path, "index.ts")].find((each) => texts.has(each));
    if (to !== undefined && to !== file) found.add(to);
  }
  return [...found];
}
const graph = new Map([...texts.keys()].map((file) => [file, importsOf(file)]));

/** Where a module stands; a folder may have another floor than the one it lies in. */
function floorOf(file) {
  const parts = file.split("/").slice(1);
  const whole = floors.findIndex((names) => names.includes(parts.join("/")));
  if (whole >= 0) return whole;
  parts.push(parts.pop().replace(/\.ts$/, ""));
  for (let length = parts.length; length > 0; length--) {
    const floor = floors.findIndex((names) => names.includes(parts.slice(0, length).join("/")));
    if (floor >= 0) return floor;
  }
  return -1;
}
for (const file of sources) {
  if (floorOf(file) < 0) problems.push(`${file}: on no floor; add its folder to the floors in this script`);
  for (const to of graph.get(file))
    if (floorOf(to) > floorOf(file))
      report(`${dirname(file)} imports ${to}`, `${file} imports ${to}, which is on a higher floor`);
}
for (const circle of circles()) problems.push(`a circle of imports: ${circle.join(" → ")}`);
const kernels = kernelNames();
for (const [file, text] of texts) {
  const lines = text.split("\n").length - 1;
  if (lines > LINES) report(`${file}: lines`, `${file}: ${lines} lines`);
  if (file.startsWith("test")) continue;
  const assembly = file.startsWith("assembly");
  const most = assembly ? KERNEL_ARGUMENTS : POSITIONAL_ARGUMENTS;
  for (const { name, count } of signatures(text)) {
    if (assembly && !kernels.has(name)) continue;
    if (count > most) report(`${file}: ${name}`, `${file}: ${name} takes ${count} arguments`);
  }
}
for (const key of Object.keys(allowed)) if (!used.has(key)) problems.push(`no longer needed in this script: ${key}`);
for (const problem of problems) console.log(problem);
console.log(`structure: ${graph.size} files, ${problems.length} problems, ${used.size} explained exceptions`);
process.exit(problems.length ? 1 : 0);

/** Circles of imports, each once. */
function circles() {
  const found = [];
  const state = new Map();
  const path = [];
  const visit = (file) => {
    state.set(file, "open");
    path.push(file);
    for (const to of graph.get(file)) {
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

/** Functions of any kind, methods, constructors and arrow functions included, and how many arguments they take. */
function signatures(text) {
  const found = [];
  const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*|"(?:[^"\\\n]|\\.)*"/g, (part) => part.replace(/[^\n]/g, "_"));
  for (const { index } of code.matchAll(/\(/g)) {
    const { end, count } = listAt(code, index);
    const after = code.slice(end, end + 400);
    if (!/^\s*(:[^=;{}]+)?\s*(=>|\{)/.test(after)) continue;
    const before = code.slice(Math.max(0, index - 80), index);
    const name = before.match(/([\w#$]+)(?:<[^()]*>)?\s*$/)?.[1] ?? before.match(/([\w#$]+)[^\w]*$/)?.[1];
    if (!/^(if|for|while|switch|catch|with)$/.test(name)) found.push({ name, count });
  }
  return found;
}

/** The list in brackets that begins at `start`: where it ends, and how many entries it has. */
function listAt(code, start) {
  let depth = 0;
  let count = 0;
  let empty = true;
  for (let at = start; at < code.length; at++) {
    const sign = code[at];
    if (/[({[]/.test(sign)) depth++;
    else if (/[)}\]]/.test(sign) && --depth === 0) return { end: at + 1, count: empty ? count : count + 1 };
    else if (sign === "<" && /\w$/.test(code.slice(at - 1, at)) && !/[();]/.test(code.slice(at, code.indexOf(">", at))))
      at = code.indexOf(">", at);
    else if (sign === "," && depth === 1) {
      count++;
      empty = true;
    } else if (depth > 0 && at > start && /\S/.test(sign)) empty = false;
    if (depth > 1) empty = false;
  }
  return { end: code.length, count };
}
