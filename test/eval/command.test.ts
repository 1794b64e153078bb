import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fixture } from "../helpers/fixtures.js";

// `deltallm eval` as a process, with the embedded model on a few rows.
const test = suite("eval");
const folder = mkdtempSync(join(tmpdir(), "deltallm-eval-"));
test.after(() => rmSync(folder, { recursive: true }));
const data = fixture("eval");
const path = (name: string) => join(folder, name);

function deltallm(...args: string[]) {
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    const child = spawn(process.execPath, ["dist/cli/main.js", "eval", ...args], { timeout: 120_000 });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

const recordsOf = (file: string) =>
  readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.startsWith('{"task"'));

const all = ["--data", data, "--text-window", "40", "--threads", "1"];

test("all tasks, one log, the same in shards and after a kill", async () => {
  const whole = await deltallm(...all, "--out", path("whole.jsonl"), "--json");
  assert.is(whole.code, 0, whole.stderr);
  assert.is(whole.stderr, "");
  const result = JSON.parse(whole.stdout);
  const { tasks } = result;
  assert.equal(Object.keys(tasks), ["winogrande", "arc_easy", "openbookqa", "lambada", "squad_v2", "perplexity"]);
  assert.equal([tasks.arc_easy.n, tasks.arc_easy.of, tasks.arc_easy.cut], [3, 3, 0]);
  for (const [task, measure] of [
    ["winogrande", "acc"],
    ["arc_easy", "acc_norm"],
    ["lambada", "acc"],
  ] as const) {
    const value = tasks[task][measure];
    const [low, high] = tasks[task][`${measure}_ci`];
    assert.ok(low <= value && value <= high && low >= 0 && high <= 1, `${task} ${measure} ${low} ${value} ${high}`);
  }
  // The story model knows how stories go.
  assert.is(tasks.openbookqa.acc, 1);
  assert.ok(tasks.perplexity.perplexity > 1 && tasks.perplexity.perplexity < 15, tasks.perplexity.perplexity);
  assert.is(result.attention.kind, "full");
  const records = recordsOf(path("whole.jsonl"));

  const shards = await Promise.all(
    [1, 2].map((part) => deltallm(...all, "--out", path(`${part}.jsonl`), "--shard", `${part}/2`)),
  );
  for (const { code, stderr } of shards) assert.is(code, 0, stderr);
  const merged = await deltallm("merge", path("2.jsonl"), path("1.jsonl"), "--out", path("merged.jsonl"), "--json");
  assert.is(merged.code, 0, merged.stderr);
  assert.equal(recordsOf(path("merged.jsonl")), records);
  assert.equal(JSON.parse(merged.stdout).tasks, tasks);

  const text = readFileSync(path("whole.jsonl"), "utf8");
  const killed = text.indexOf('\n{"task":"lambada"') + 25;
  writeFileSync(path("killed.jsonl"), text.slice(0, killed));
  const resumed = await deltallm(...all, "--out", path("killed.jsonl"), "--json");
  assert.is(resumed.code, 0, resumed.stderr);
  assert.match(resumed.stderr, /8 examples are done already/);
  assert.equal(recordsOf(path("killed.jsonl")), records);
  assert.equal(JSON.parse(resumed.stdout).tasks, tasks);

  const again = await deltallm(...all, "--out", path("whole.jsonl"), "--json", "--compare", path("merged.jsonl"));
  assert.is(again.code, 0, again.stderr);
  const { comparison, ...same } = JSON.parse(again.stdout);
  assert.equal(same, result);
  for (const { difference, p = 1 } of comparison) assert.equal([difference, p], [0, 1]);
  assert.is(readFileSync(path("whole.jsonl"), "utf8"), text);
});

test("a table for people", async () => {
  const { code, stdout, stderr } = await deltallm(
    "--data",
    data,
    "--tasks",
    "arc_easy",
    "--limit",
    "2",
    "--threads",
    "1",
  );
  assert.is(code, 0, stderr);
  assert.match(stdout, /^task +n +measure +value +95 % interval\narc_easy +2 +acc +\d+\.\d\d +\d/);
  assert.match(stdout, /\nattention: full/);
});

test("what cannot be run is refused before anything is computed", async () => {
  const options: [string[], RegExp][] = [
    [["--data", data, "--tasks", "piqa"], /There is no piqa\.jsonl/],
    [["--tasks", "piqa", "--offline"], /piqa needs data.*Give a folder with piqa\.jsonl/],
    [[], /no data of any task/],
    [["--data", data, "--tasks", "chess"], /"chess" is none of/],
    [["--data", data, "--shard", "3/2"], /part 2 of 4/],
    [["--data", data, "--limit", "chess=3"], /"chess" is none of/],
    [["merge", path("none.jsonl")], /cannot be read/],
  ];
  const runs = await Promise.all(options.map(([args]) => deltallm(...args)));
  runs.forEach(({ code, stdout, stderr }, i) => {
    assert.is(code, 2, stderr);
    assert.is(stdout, "");
    assert.match(stderr, (options[i] as (typeof options)[0])[1]);
  });
});

test("a killed or interrupted run goes on where it was", async () => {
  const args = [...all, "--tasks", "winogrande,arc_easy,openbookqa,lambada"];
  assert.is((await deltallm(...args, "--out", path("calm.jsonl"))).code, 0);
  for (const signal of ["SIGKILL", "SIGINT"] as const) {
    const out = path(`${signal}.jsonl`);
    const child = spawn(process.execPath, ["dist/cli/main.js", "eval", ...args, "--out", out]);
    const stderr: string[] = [];
    child.stderr.setEncoding("utf8").on("data", (text: string) => stderr.push(text));
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    const watch = setInterval(() => existsSync(out) && recordsOf(out).length > 1 && child.kill(signal), 1);
    const code = await ended;
    clearInterval(watch);
    // The run may have been quicker than the signal.
    if (code === 130) assert.match(stderr.join(""), /examples are in .*SIGINT\.jsonl; the same command goes on/);
    assert.ok(code === 0 || code === (signal === "SIGINT" ? 130 : null), `exit code ${code}`);
    assert.is((await deltallm(...args, "--out", out)).code, 0);
    assert.equal(recordsOf(out), recordsOf(path("calm.jsonl")), signal);
  }
});

test("a sweep compares every setting with full attention, and goes on where it was", async () => {
  const args = ["--data", data, "--tasks", "openbookqa,perplexity", "--threads", "1", "--window", "16"];
  const sweep = ["--sweep", "threshold=0,1000", "--out", path("sweep")];
  const { code, stdout, stderr } = await deltallm(...args, ...sweep);
  assert.is(code, 0, stderr);
  const rows = stdout.split("\n").filter((line) => line.startsWith("|"));
  assert.is(rows.length, 5);
  assert.match(rows[0] as string, "openbookqa acc_norm | perplexity |");
  assert.match(rows[2] as string, /^\| full \| 0\.0 % \|/);
  assert.match(rows[3] as string, /^\| threshold=0 \|/);
  // A threshold that drops everything does show.
  assert.match(rows[4] as string, /^\| threshold=1000 \| (9\d|100)\.\d %/);
  assert.is(readFileSync(path("sweep/report.md"), "utf8"), stdout);
  const again = await deltallm(...args, ...sweep);
  assert.is(again.stdout, stdout);
  assert.match(again.stderr, /full\.jsonl: \d examples are done already/);
  const json = JSON.parse((await deltallm(...args, ...sweep, "--json")).stdout);
  assert.equal(json, JSON.parse(readFileSync(path("sweep/sweep.json"), "utf8")));
  assert.equal(
    json.points.map(({ name }: { name: string }) => name),
    ["full", "threshold=0", "threshold=1000"],
  );
  assert.ok(json.points[2].speed.prefill.tokens > 0 && json.points[2].stats.deltaSparsity > 0.9);
  assert.ok(json.points[1].comparison.length > 0 && json.points[0].comparison === undefined);
  assert.is((await deltallm(...args, ...sweep, "--compare", path("sweep/full.jsonl"))).code, 2);
});

test("a log of other settings is refused", async () => {
  const args = ["--data", data, "--tasks", "openbookqa", "--threads", "1", "--out", path("settings.jsonl")];
  assert.is((await deltallm(...args)).code, 0);
  const { code, stderr } = await deltallm(...args, "--kv-cache", "f32");
  assert.is(code, 2);
  assert.match(stderr, /This log is of another run: --kv-cache "int8" ≠ "f32"/);
});

test.run();
