// Checks the shape of the code and prints what breaks it: circles of imports, imports from a lower floor to a higher one,
// files over 300 lines, kernels with more than 8 arguments, functions with more than 6 positional ones, too many files in
// src/attention. Part of CI. Every form of import counts: of types, `import()`, re-exports, `import("…")` in a type, URLs
// of modules that start as workers. Helpers inside assembly may take more arguments: they are inlined, and a record in
// memory would cost them loads in their innermost loops.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
// TypeScript 7 has its syntax trees here.
import { SyntaxKind } from "typescript/unstable/ast";
import { API } from "typescript/unstable/sync";

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
/** Imports that look upwards, of types alone, and why. One that lets nothing through is a problem itself. */
const FORMULA = "the formula of an architecture is called with the pass it works on";
const allowed = {
  "src/model/architectures → src/model/pass.ts": FORMULA,
  "src/model/architectures → src/model/plan.ts": FORMULA,
};
const LINES = 300;
const KERNEL_ARGUMENTS = 8;
const POSITIONAL_ARGUMENTS = 6;
const ATTENTION_FILES = 12;
/** What the build writes: long, and its functions are the kernels. */
const KERNELS = "src/kernels/generated.ts";
const written = new Set([KERNELS, "src/kernels/binaries.ts", "src/browser/engine-text.ts"]);
const folders = ["src", "assembly", "test", "bench", "scripts", "web", "fleet", "runtime-tests"];
const problems = [];

const trees = syntaxTrees("tsconfig.json", "tsconfig.test.json", "assembly/tsconfig.json");
const sources = [...trees.keys()].filter((file) => file.startsWith("src/"));
const used = new Set();
const graph = new Map([...trees.keys()].map((file) => [file, importsOf(file)]));

for (const file of sources) {
  if (floorOf(file) < 0) problems.push(`${file}: on no floor; add its folder to the floors in this script`);
  for (const to of graph.get(file))
    if (floorOf(to) > floorOf(file)) problems.push(`${file} imports ${to}, which is on a higher floor`);
}
for (const circle of circles()) problems.push(`a circle of imports: ${circle.join(" → ")}`);
for (const [file, tree] of trees) if (/^(src|bench)\//.test(file)) checkArguments(file, tree);
for (const file of folders.flatMap(filesIn)) checkLength(file);
for (const file of filesIn("src")) if (!trees.has(file)) problems.push(`${file}: not a module the compiler knows`);
const attention = sources.filter((file) => file.startsWith("src/attention/")).length;
if (attention > ATTENTION_FILES) problems.push(`src/attention has ${attention} files, more than ${ATTENTION_FILES}`);
for (const key of Object.keys(allowed)) if (!used.has(key)) problems.push(`no longer needed in this script: ${key}`);
for (const problem of problems) console.log(problem);
console.log(`structure: ${trees.size} modules, ${problems.length} problems, ${used.size} explained exceptions`);
process.exit(problems.length ? 1 : 0);

/** All files of these projects, by their path. */
function syntaxTrees(...projects) {
  const api = new API({ cwd: process.cwd() });
  const snapshot = api.updateSnapshot({ openProjects: projects.map((name) => resolve(name)) });
  const found = new Map();
  for (const { rootFiles, program } of snapshot.getProjects())
    for (const file of rootFiles) found.set(relative(process.cwd(), file), program.getSourceFile(file));
  api.close();
  return found;
}

/** Modules that a module names, without explained ones. */
function importsOf(file) {
  const found = [];
  const add = (name, type) => {
    const path = name?.text?.replace(/\.js$/, "") ?? "";
    if (!/^(\.|#src\/|deltallm\/|[\w-]+$)/.test(path)) return;
    // The package by its own name.
    const whole = /^deltallm(\/|$)/.test(path) ? "src/index" : undefined;
    const from = whole ?? (path.startsWith("#src/") ? path.slice(1) : join(dirname(file), path));
    const to = [`${from}.ts`, `${from}/index.ts`].find((each) => trees.has(each));
    const key = `${dirname(file)} → ${to}`;
    if (type && key in allowed) used.add(key);
    else if (to !== undefined && to !== file) found.push(to);
  };
  const visit = (node) => {
    if (node.kind === SyntaxKind.ImportDeclaration)
      add(node.moduleSpecifier, node.importClause?.phaseModifier === SyntaxKind.TypeKeyword);
    else if (node.kind === SyntaxKind.ExportDeclaration) add(node.moduleSpecifier, node.isTypeOnly);
    else if (node.kind === SyntaxKind.ImportType) add(node.argument.literal, true);
    else if (node.kind === SyntaxKind.CallExpression && node.expression.kind === SyntaxKind.ImportKeyword)
      add(node.arguments[0]);
    else if (node.kind === SyntaxKind.NewExpression && node.expression.text === "URL") add(node.arguments?.[0]);
    node.forEachChild(visit);
  };
  visit(trees.get(file));
  return found;
}

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

/** Circles of imports, one for each that closes. */
function circles() {
  const found = [];
  const state = new Map();
  const path = [];
  const visit = (file) => {
    state.set(file, "open");
    path.push(file);
    for (const to of graph.get(file) ?? [])
      if (state.get(to) === "open") found.push([...path.slice(path.indexOf(to)), to]);
      else if (!state.has(to)) visit(to);
    path.pop();
    state.set(file, "done");
  };
  for (const file of graph.keys()) if (!state.has(file)) visit(file);
  return found;
}

/** Functions, methods, constructors and function types with too many arguments. */
function checkArguments(file, tree) {
  const most = file === KERNELS ? KERNEL_ARGUMENTS : POSITIONAL_ARGUMENTS;
  const visit = (node) => {
    const count = node.parameters?.length ?? 0;
    if (count > most) {
      const line = tree.text.slice(0, node.getStart()).split("\n").length;
      problems.push(`${file}:${line}: ${node.name?.text ?? "a function"} takes ${count} arguments`);
    }
    node.forEachChild(visit);
  };
  visit(tree);
}

/** What people have written in a folder. Not through links: the package is linked into the modules of its own parts. */
function filesIn(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : filesIn(path);
    return /\.([mc]?[jt]s|tsx|css)$/.test(path) && !written.has(path) ? [path] : [];
  });
}

function checkLength(file) {
  const lines = readFileSync(file, "utf8").split("\n").length - 1;
  if (lines > LINES) problems.push(`${file}: ${lines} lines`);
}
