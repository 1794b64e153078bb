import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { atRoot } from "../helpers/fixtures.js";

const folder = mkdtempSync(join(tmpdir(), "deltallm-"));
test.after(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

/** The command line with the embedded model, as a process of its own. */
function run(args: string[]): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [atRoot("dist/cli/main.js"), ...args], {
    encoding: "utf8",
  });
  return { code: status, stdout, stderr };
}

test("generate --schema writes what the schema describes", () => {
  const schema = file("a.json", '{"type":"object","properties":{"n":{"type":"integer","maximum":5}},"required":["n"]}');
  const { code, stdout } = run(["generate", "One", "--schema", schema, "--seed", "1", "--json"]);
  assert.is(code, 0);
  const { text, finishReason } = JSON.parse(stdout);
  assert.is(finishReason, "schema");
  assert.ok(JSON.parse(text).n <= 5);
});

test("generate --grammar and --regex", () => {
  const grammar = file("a.gbnf", 'root ::= " the" " end"');
  const written = run(["generate", "It is", "--grammar", grammar]);
  assert.match(written.stdout, /the end\n$/);
  const matched = run(["generate", "It is", "--regex", "[ab]{3}", "--json"]);
  assert.match(JSON.parse(matched.stdout).text, /^[ab]{3}$/);
});

test("an answer that is cut off fails", () => {
  const { code, stderr } = run(["generate", "One", "--regex", "a{50}", "-n", "2"]);
  assert.is(code, 3);
  assert.match(stderr, /not complete \(length\)\. Allow more tokens/);
});

test("wrong constraints are refused before a model is loaded", () => {
  const none = "/nowhere/model.gguf";
  for (const [args, said] of [
    [["--schema", file("b.json", "{")], /not JSON/],
    [["--schema", file("c.json", '{"contains":{}}')], /"contains" is not supported/],
    [["--schema", join(folder, "missing")], /cannot be read/],
    [["--grammar", file("b.gbnf", "root ::= x")], /no rule "x"/],
    [["--regex", "(?=a)"], /looks ahead/],
    [["--regex", "a", "--grammar", file("c.gbnf", "")], /Only one of/],
  ] as const) {
    const { code, stderr } = run(["generate", "One", "-m", none, ...args]);
    assert.is(code, 2, stderr);
    assert.match(stderr, said);
  }
});

test.run();
