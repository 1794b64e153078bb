import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { atRoot } from "../helpers/fixtures.js";

const readme = readFileSync(atRoot("README.md"), "utf8");
const scripts = (JSON.parse(readFileSync(atRoot("package.json"), "utf8")) as { scripts: Record<string, string> })
  .scripts;

test("the first code block of the README is the two commands, and they exist", () => {
  const [, block] = readme.match(/```\w*\n([\s\S]*?)```/) as [string, string];
  const names = block
    .trim()
    .split("\n")
    .map((line) => line.match(/^npm (?:run )?(\w+)/)?.[1]);
  assert.equal(names, ["story", "test"]);
  for (const name of names) assert.ok(scripts[name as string]);
});

test("the library example of the README runs", () => {
  const [, code] = readme.match(/```js\n([\s\S]*?)```/) as [string, string];
  // Node 20 has no `await using`; the README says what to write there.
  const runnable = `${code.replace("await using model", "const model")}\nawait model.dispose();\n`;
  // Inside the package, so that its own name resolves to the build under test.
  const folder = mkdtempSync(join(atRoot("build"), "readme-"));
  try {
    writeFileSync(join(folder, "example.mjs"), runnable);
    const run = spawnSync(process.execPath, [join(folder, "example.mjs")], { encoding: "utf8" });
    assert.is(run.status, 0, run.stderr);
    assert.match(run.stdout, /\w+ \w+[\s\S]*\n4096 logits at \d+ tokens\/s/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
