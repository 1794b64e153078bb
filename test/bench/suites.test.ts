import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { families, pickedKernel } from "../../bench/harness/environment.js";
import { measureGroup, plan } from "../../bench/harness/measure.js";
import type { Environment } from "../../bench/harness/suite.js";
import { groupTable, tableHead } from "../../bench/harness/table.js";
import { suites } from "../../bench/suites/index.js";
import { atRoot } from "../helpers/fixtures.js";

const environment: Environment = {
  size: "smoke",
  families: families(),
  parts: Object.fromEntries(
    families().map((family) => [
      family,
      new WebAssembly.Module(readFileSync(atRoot(`build/bench-kernels/${family}.wasm`))),
    ]),
  ),
  threads: 2,
  models: [],
};

for (const suite of suites)
  test(`bench: every case of "${suite.name}" runs once`, async () => {
    const planned = plan([suite], environment);
    assert.ok(planned.length > 0);
    for (const each of planned) {
      const results = await measureGroup(each, "smoke");
      assert.ok(results.length > 0);
      for (const { samples, work } of results)
        assert.ok(samples.length === 1 && (samples[0] as number) > 0 && work > 0);
      const lines = `${tableHead(suite)}\n${groupTable(results)}`.split("\n");
      assert.ok(lines.length > results.length && !lines.some((line) => /NaN|undefined/.test(line)));
    }
  });

test("bench: names are unique, so that runs can be compared", () => {
  for (const size of ["quick", "full"] as const) {
    const names = plan(suites, { ...environment, size }).map(({ suite, group }) => `${suite.name}: ${group.name}`);
    assert.is(new Set(names).size, names.length);
    assert.ok(plan(suites, { ...environment, size }, ["decode", "simd"]).length > 0);
  }
  assert.ok(families().includes(pickedKernel().family));
});

test.run();
