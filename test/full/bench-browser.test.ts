import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Run } from "../../bench/harness/suite.js";
import { suites } from "../../bench/suites/index.js";
import { atRoot } from "../helpers/fixtures.js";

for (const [browser, binary] of [
  ["chromium", "/usr/bin/chromium"],
  ["firefox", "/usr/bin/firefox-esr"],
] as const)
  test(`every benchmark runs once in ${browser}`, () => {
    if (!existsSync(binary)) {
      console.log(`SKIPPED: ${browser} is not installed (scripts/install-browsers.sh)`);
      return;
    }
    const json = atRoot(`build/bench-${browser}.json`);
    const args = ["scripts/bench-browser.mjs", "--smoke", "--browser", browser, "--json", json];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", cwd: atRoot(".") });
    assert.is(status, 0, stderr);
    assert.match(stdout, /picked kernels: (relaxed|simd), \d+ threads?/);
    const run = JSON.parse(readFileSync(json, "utf8")) as Run;
    assert.match(run.runtime, browser === "firefox" ? /^Firefox \d+/ : /^Chrome \d+/);
    assert.equal(
      [...new Set(run.results.map(({ suite }) => suite))],
      suites.map(({ name }) => name),
    );
  });

test.run();
