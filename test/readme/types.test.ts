import { spawn } from "node:child_process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { atRoot } from "../helpers/fixtures.js";

const strict =
  "--ignoreConfig --noEmit --strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --target es2022";
/** How programs are compiled that import the package: strictly, its declarations checked as well. */
const projects = {
  "Node (NodeNext, no DOM)": "--module nodenext --moduleResolution nodenext --lib ES2022 --types node",
  "a server behind a bundler (no DOM)": "--module esnext --moduleResolution bundler --lib ES2022 --types node",
  "a page (NodeNext, DOM, no types of Node)": "--module nodenext --moduleResolution nodenext --lib ES2022,DOM --types",
  "a page behind a bundler (DOM, no types of Node)":
    "--module esnext --moduleResolution bundler --lib ES2022,DOM --types",
};

for (const [name, options] of Object.entries(projects))
  test(`every entry point in a strict project: ${name}`, async () => {
    const output = await compile(`${strict} ${options}`);
    // What other packages' own declarations need is not for us to say.
    const ours = output
      .split("\n")
      .filter((line) => /^(\S.*: )?error TS/.test(line) && !line.startsWith("node_modules/"));
    assert.equal(ours, [], ours.join("\n"));
  });

test("the check sees what is missing", async () => {
  const options = `${strict} --module nodenext --moduleResolution nodenext --lib ES2022 --types`;
  assert.match(await compile(options), /^dist.*Cannot find name 'AbortSignal'/m);
});

/** `--types` as the last option stands for no types at all. */
function compile(options: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const args = options.split(" ");
    if (args.at(-1) === "--types") args.push("");
    const child = spawn("npx", ["--no-install", "tsc", ...args, "test/fixtures/types/use.ts"], { cwd: atRoot() });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (part: Buffer) => {
        output += part.toString();
      });
    child.on("error", reject);
    child.on("close", () => resolve(output));
  });
}

test.run();
