import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
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
  // Inside the package, so that its own name resolves to the build under test.
  const folder = mkdtempSync(join(atRoot("build"), "readme-"));
  try {
    writeFileSync(join(folder, "example.mjs"), code);
    const run = spawnSync(process.execPath, [join(folder, "example.mjs")], { encoding: "utf8" });
    assert.is(run.status, 0, run.stderr);
    assert.match(run.stdout, /\w+ \w+[\s\S]*\n4096 logits at \d+ tokens\/s/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the story of the README is what its command writes", () => {
  const [, command, story] = readme.match(/\$ npx deltallm (generate [^\n]*)\n([\s\S]*?)…\n```/) as unknown as string[];
  const args = (command as string).match(/"[^"]*"|\S+/g)?.map((part) => part.replaceAll('"', "")) as string[];
  const run = spawnSync(process.execPath, [atRoot("dist/cli/main.js"), ...args], { encoding: "utf8" });
  const words = (text: string) => text.split(/\s+/).filter(Boolean).join(" ");
  assert.ok(words(`Once upon a time${run.stdout}`).startsWith(words(story as string)), run.stdout + run.stderr);
});

test("every link of the README and of docs leads to a file that is published, or away", () => {
  const { files } = JSON.parse(readFileSync(atRoot("package.json"), "utf8")) as { files: string[] };
  assert.ok(files.includes("docs/*.md") && files.includes("docs/*.svg"));
  const docs = readdirSync(atRoot("docs")).filter((name) => name.endsWith(".md"));
  for (const page of ["README.md", ...docs.map((name) => `docs/${name}`)])
    for (const [, target] of readFileSync(atRoot(page), "utf8").matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^(https?|mailto):/.test(target as string)) continue;
      const path = join(dirname(page), target as string);
      assert.ok(existsSync(atRoot(path)), `${page}: ${target}`);
      assert.match(path, /^(docs\/[\w-]+\.(md|svg|webp)|weights\/README\.md|LICENSE|README\.md)$/, page);
    }
});

test("every command of the command line stands in the README's table", () => {
  const program = ["program", "cache-commands"]
    .map((name) => readFileSync(atRoot(`src/cli/${name}.ts`), "utf8"))
    .join();
  const commands = [...program.matchAll(/\.command\("([a-z]+)"\)/g)].map(([, name]) => name as string);
  assert.ok(commands.length > 10);
  for (const name of commands.filter((name) => name !== "merge"))
    assert.match(readme, new RegExp(`\\| .*\\b${name}\\b.*\\|`), name);
});

test.run();
