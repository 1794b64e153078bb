import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { atRoot } from "../helpers/fixtures.js";

const text = readFileSync(atRoot("docs", "library.md"), "utf8");
const examples = [...text.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code as string);

test("every example of docs/library.md runs", async () => {
  assert.ok(examples.length >= 8);
  // Inside the package, so that its own name resolves to the build under test.
  const folder = mkdtempSync(join(atRoot("build"), "library-"));
  try {
    const runs = examples.map((code, i) => async () => {
      const file = join(folder, `example-${i}.mjs`);
      writeFileSync(file, code);
      const { status, output } = await run(file);
      assert.is(status, 0, `${output}\n${code}`);
      assert.ok(output.length > 0, code);
    });
    for (let i = 0; i < runs.length; i += 2) await Promise.all(runs.slice(i, i + 2).map((one) => one()));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function run(file: string): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file]);
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (part: Buffer) => {
        output += part.toString();
      });
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, output }));
  });
}

test.run();
