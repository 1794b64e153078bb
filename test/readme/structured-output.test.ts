import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { atRoot } from "../helpers/fixtures.js";

const page = readFileSync(atRoot("docs", "structured-output.md"), "utf8");
const blocks = [...page.matchAll(/```js\n([\s\S]*?)```/g)].map((match) => match[1]!);

for (const [i, code] of blocks.entries())
  test(`example ${i + 1} of the page on structured output runs`, () => {
    const folder = mkdtempSync(join(atRoot("build"), "docs-"));
    try {
      writeFileSync(join(folder, "example.mjs"), code);
      const run = spawnSync(process.execPath, [join(folder, "example.mjs")], { encoding: "utf8" });
      assert.is(run.status, 0, run.stderr);
      assert.match(run.stdout, i === 0 ? /^.+ \d+\n$/ : /name: 'get_weather'/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

test.run();
