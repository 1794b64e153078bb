import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compareRuns, comparisonTable, joinRuns, relativeRun } from "../../bench/harness/compare.js";
import { mannWhitney, medianRatio, pairedRatio, spread } from "../../bench/harness/statistics.js";
import type { Run } from "../../bench/harness/suite.js";

const near = (x: number, y: number, tolerance = 1e-9) => assert.ok(Math.abs(x - y) <= tolerance, `${x} is not ${y}`);

test("median and quartiles", () => {
  assert.equal(spread([5, 1, 3, 2, 4]), { least: 1, q1: 2, median: 3, q3: 4, most: 5 });
  assert.equal(spread([1, 2]), { least: 1, q1: 1.25, median: 1.5, q3: 1.75, most: 2 });
});

test("ratios of rounds cancel what slows both sides", () => {
  assert.is(pairedRatio([2, 20, 4], [1, 10, 2]).most, 2);
});

test("Mann–Whitney: exact two-sided probabilities as in tables", () => {
  // Complete separation of n and n: 2 / C(2n, n).
  near(mannWhitney([1, 2, 3], [4, 5, 6]), 2 / 20);
  near(mannWhitney([1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12, 13, 14]), 2 / 3432);
  // U = 1 of 4 and 4: 2 · (1 + 1) / 70; U = 3 of 5 and 4: 2 · (1 + 1 + 2 + 3) / 126.
  near(mannWhitney([1, 2, 3, 5], [4, 6, 7, 8]), 4 / 70);
  near(mannWhitney([1, 2, 3, 4, 8], [5, 6, 7, 9]), 14 / 126);
  near(mannWhitney([1, 1, 1], [1, 1, 1, 1]), 1);
  near(mannWhitney([], [1]), 1);
});

test("Mann–Whitney agrees with counting every way to share out the ranks", () => {
  const values = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(values, values, (a, b) => {
      const all = [...a, ...b];
      const rank = (x: number) => all.filter((y) => y < x).length + (all.filter((y) => y === x).length + 1) / 2;
      const ranks = all.map(rank);
      const expected = (a.length * (all.length + 1)) / 2;
      const observed = Math.abs(ranks.slice(0, a.length).reduce((x, y) => x + y, 0) - expected);
      let [far, every] = [0, 0];
      for (let bits = 0; bits < 1 << all.length; bits++) {
        const chosen = ranks.filter((_, i) => (bits >> i) & 1);
        if (chosen.length !== a.length) continue;
        every++;
        if (Math.abs(chosen.reduce((x, y) => x + y, 0) - expected) >= observed - 1e-9) far++;
      }
      near(mannWhitney(a, b), far / every);
      near(mannWhitney(b, a), far / every);
    }),
  );
});

test("the ratio of medians lies in its interval, and doubling doubles it", () => {
  const a = [10, 11, 9, 10.5, 9.5, 10.2, 9.9];
  const { ratio, low, high } = medianRatio(
    a,
    a.map((x) => 2 * x),
  );
  near(ratio, 2);
  assert.ok(low <= 2 && high >= 2 && low > 1.7 && high < 2.3);
  assert.equal(medianRatio(a, a), medianRatio(a, a));
});

function run(times: Record<string, number[]>): Run {
  return {
    format: "deltallm-bench",
    version: 1,
    date: "2026-01-01T00:00:00.000Z",
    package: "0.0.0",
    size: "quick",
    machine: { processor: "test", cores: 1, system: "test" },
    runtime: "test",
    kernel: { family: "simd", dots: { gemv: 0, gemm: 0 } },
    threads: 1,
    results: Object.entries(times).map(([name, samples]) => {
      return { suite: "s", group: "g", name, labels: {}, unit: "MAC", work: 1, samples, facts: {} };
    }),
  };
}
const steady = [100, 101, 99, 100.5, 99.5, 100.2, 99.8];
const rule = { threshold: 0.05, alpha: 0.01 };

test("compare: slower, faster, too small to count, too noisy to tell", () => {
  const noisy = [60, 150, 100, 80, 140, 90, 110];
  const before = run({ slower: steady, faster: steady, small: steady, noisy, gone: steady });
  const after = run({
    slower: steady.map((x) => x * 1.1),
    faster: steady.map((x) => x * 0.8),
    small: steady.map((x) => x * 1.03),
    noisy: noisy.map((x) => x * 1.1),
    fresh: steady,
  });
  const comparison = compareRuns(before, after, rule);
  assert.equal(
    comparison.cases.map(({ before: { name }, verdict }) => [name, verdict]),
    [
      ["slower", "slower"],
      ["faster", "faster"],
      ["small", "same"],
      ["noisy", "same"],
    ],
  );
  assert.equal(comparison.onlyBefore, ["s: g: gone"]);
  assert.equal(comparison.onlyAfter, ["s: g: fresh"]);
  const text = comparisonTable(before, after, comparison, { ...rule, all: false });
  assert.match(text, /slower s: g: slower +100 ms → +110 ms +× 1\.100/);
  assert.match(text, /4 cases: 1 slower, 1 faster, 2 the same/);
});

test("compare: a run equals itself, and repeated runs are joined", () => {
  const one = run({ a: steady });
  assert.is(compareRuns(one, one, rule).cases[0]?.verdict, "same");
  assert.is(joinRuns([one, one]).results[0]?.samples.length, 14);
});

test("compare, relative to the first case: a slower machine cancels, a slower case does not", () => {
  const wobbly = [100, 130, 80, 110, 95, 120, 105];
  const before = run({ first: wobbly, same: wobbly.map((x) => x * 2), worse: wobbly.map((x) => x * 3) });
  const after = run({
    first: steady.map((x) => x * 4),
    same: steady.map((x, i) => x * 8 * (1 + i / 1000)),
    worse: steady.map((x) => x * 15),
  });
  const { cases } = compareRuns(relativeRun(before), relativeRun(after), rule);
  assert.equal(
    cases.map(({ before: { name }, verdict }) => [name, verdict]),
    [
      ["same", "same"],
      ["worse", "slower"],
    ],
  );
});

test.run();
