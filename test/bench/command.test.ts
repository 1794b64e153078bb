import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Run } from "../../bench/harness/suite.js";
import { atRoot } from "../helpers/fixtures.js";

const folder = mkdtempSync(join(tmpdir(), "deltallm-bench-"));
test.after(() => rmSync(folder, { recursive: true }));
const node = (script: string, ...args: string[]) =>
  spawnSync(process.execPath, [atRoot(`build/bench/${script}.js`), ...args], { encoding: "utf8", cwd: folder });

test("bench: table on stdout, figures in a file, no progress where there is no terminal", () => {
  const { status, stdout, stderr } = node("main", "--smoke", "--only", "tokenizer", "--json", "one.json");
  assert.is(status, 0, stderr);
  assert.match(stdout, /encode English +[\d.]+ (µs|ms) /);
  assert.is(stderr, "");
  const run = JSON.parse(readFileSync(join(folder, "one.json"), "utf8")) as Run;
  assert.is(run.format, "deltallm-bench");
  assert.match(run.runtime, process.versions.node);
  assert.ok(run.machine.cores > 0 && run.results.length === 6 && run.date.endsWith("Z"));
  assert.is(node("main", "--only", "nothing").status, 2);
});

test("compare: exit code 0 for no loss, 1 for a loss, 2 for files that are none", () => {
  const run = JSON.parse(readFileSync(join(folder, "one.json"), "utf8")) as Run;
  const times = (name: string, factor: number) => {
    const results = run.results.map((result) => ({
      ...result,
      samples: [1, 2, 3, 4, 5, 6, 7].map((x) => 100 * factor + x),
    }));
    writeFileSync(join(folder, name), JSON.stringify({ ...run, results }));
  };
  times("before.json", 1);
  times("slower.json", 2);
  assert.is(node("compare", "before.json", "before.json").status, 0);
  assert.is(node("compare", "slower.json", "before.json").status, 0);
  const slower = node("compare", "before.json", "slower.json,slower.json");
  assert.is(slower.status, 1);
  assert.match(slower.stdout, "6 cases: 6 slower, 0 faster, 0 the same");
  for (const args of [["before.json"], ["before.json", "missing.json"], ["before.json", "before.json", "--alpha", "x"]])
    assert.is(node("compare", ...args).status, 2);
});

test("sweep report: refuses what is no sweep", () => {
  const { status, stderr } = node("report", "one.json", "report.md");
  assert.is(status, 2);
  assert.match(stderr, "one.json is no sweep");
});

test("every script of the benches shows its options with --help, and what it cannot read is one line", () => {
  for (const [script, usage] of [
    ["main", "npm run bench -- "],
    ["reference-table", "npm run reference-table -- "],
    ["report", "npm run sweep:report -- "],
    ["compare", "npm run bench:compare -- "],
    ["tables/main", "npm run tables -- "],
  ] as const) {
    const help = node(script, "--help");
    assert.is(help.status, 0, help.stderr);
    assert.ok(help.stdout.startsWith(`Usage: ${usage}`), help.stdout);
    assert.match(help.stdout, /\n {2}--[a-z]/);
    const wrong = node(script, "--nonsense");
    assert.is(wrong.status, 2);
    assert.is(wrong.stdout + wrong.stderr, "Unknown option '--nonsense'. --help shows what there is\n");
  }
  for (const args of [["--threads", "many"], ["extra"], ["--model", "none.gguf"]]) {
    const { status, stderr } = node("main", ...args);
    assert.is(status, 2);
    assert.match(stderr, /^[^\n]+\n$/, "one line");
  }
});

test.run();
