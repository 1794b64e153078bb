import { spawnSync } from "node:child_process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { atRoot } from "../helpers/fixtures.js";

for (const options of [[], ["--kv-cache", "f32"], ["--threads", "1", "--prefill-chunk", "5"]]) {
  test(`verify ${options.join(" ")}: the embedded model computes the published bits here`, () => {
    const run = spawnSync(process.execPath, [atRoot("dist/cli/main.js"), "verify", "--json", ...options], {
      encoding: "utf8",
    });
    assert.is(run.status, 0, run.stderr);
    assert.is(JSON.parse(run.stdout).equal, true);
  });
}

test.run();
