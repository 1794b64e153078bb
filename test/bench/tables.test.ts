import { existsSync, readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Result, Run } from "../../bench/harness/suite.js";
import { selectionHeads, zeroProducts } from "../../bench/measure/runs.js";
import { documents } from "../../bench/tables/documents.js";
import { renderTable } from "../../bench/tables/render.js";
import { atRoot } from "../helpers/fixtures.js";

const about = { measured: "", commands: [] };

test("the figures of docs are those of bench/measured: else run npm run tables", () => {
  for (const [path, text] of documents(atRoot("."))) {
    assert.ok(existsSync(atRoot(path)), `${path} is there`);
    assert.ok(readFileSync(atRoot(path), "utf8") === text, `${path} has the figures of bench/measured`);
  }
});

test("a table of figures: texts, numbers, shares, samples with their range, ratios sample by sample", () => {
  const text = renderTable("one", {
    ...about,
    kind: "table",
    columns: [
      { title: "what" },
      { title: "a", format: "1" },
      { title: "b", format: "1" },
      { title: "ratio", format: "2", ratio: ["a", "b"] },
      { title: "share", format: "%1" },
      { title: "change", format: "+2" },
      { title: "free", format: "" },
    ],
    rows: [
      ["x", [10, 12, 11], [5, 8, 11], 0.5, -0.25, 1234.5],
      ["y", 3, 6, null, 0, 0.0123],
    ],
  });
  assert.is(
    text,
    [
      "| what | a | b | ratio | share | change | free |",
      "| --- | --: | --: | --: | --: | --: | --: |",
      "| x | 11.0 (10.0 … 12.0) | 8.0 (5.0 … 11.0) | **1.50** (1.00 … 2.00) | 50.0 % | −0.25 | 1,235 |",
      "| y | 3.0 | 6.0 | 0.50 |  | +0.00 | 0.0123 |",
    ].join("\n"),
  );
});

test("tables of suites: each figure is the first case's time over that of a case, or the reverse, round by round", () => {
  const of = (suite: string, group: string, labels: Result["labels"], ...samples: number[]): Result => {
    const first = labels.share === "full" || labels.product === "dense";
    return { suite, group, name: first ? "dense" : "x", labels, unit: "MAC", work: 1, samples, facts: {} };
  };
  const heads = { kernel: "relaxed", headDim: 64, keys: 4096, stage: "decode", threads: 2 };
  const zeros = { kernel: "relaxed", matrix: "up", tokens: 1, density: 0.4 };
  const run = {
    ...{ format: "deltallm-bench", version: 1, date: "2026-01-02T00:00:00Z", package: "0", size: "quick", threads: 2 },
    ...{ machine: { processor: "P", cores: 2, system: "t" }, runtime: "R", kernel: { family: "relaxed", dots: {} } },
    results: [
      of("selection", "a", { ...heads, share: "full" }, 3, 4),
      of("selection", "a", { ...heads, share: 0.4 }, 2, 2),
      of("zeros", "b", { ...zeros, product: "dense" }, 4, 4),
      of("zeros", "b", { ...zeros, product: "sparse" }, 1, 2),
    ],
  } as unknown as Run;
  const text = renderTable("heads", selectionHeads(run));
  assert.match(text, "| 4,096 | 40 % |  |  |  |  | 1.75 |  |");
  assert.match(selectionHeads(run).measured, "2 January 2026, R, P, 2 cores");
  assert.match(renderTable("zeros", zeroProducts(run)), "| 40 % | 0.38 |\n| time of all of it, ms | 4.00 |");
});

test("rows of wrong length and pages in the place of tables are refused", () => {
  assert.throws(
    () => renderTable("one", { ...about, kind: "table", columns: [{ title: "a" }], rows: [["x", 1]] }),
    "bench/measured/one.json: row 0 has 2 cells, not 1",
  );
  assert.throws(
    () => renderTable("two", { ...about, kind: "sweep", name: "", note: "", sweeps: [], stats: [] }),
    "page of its own",
  );
});

test("evaluations beside a reference, comparisons and the reference table", () => {
  const evaluation = renderTable("e", {
    ...about,
    kind: "eval",
    tasks: [
      { task: "piqa", n: 4, cut: 0, measures: { acc: { value: 0.75, ci: [0.3, 0.954] }, acc_norm: { value: 0.5 } } },
    ],
    reference: { piqa: { acc: 0.5, acc_norm: 0.5 } },
  });
  assert.match(evaluation, "| piqa | 4 | acc | 75.00 | 30.0 – 95.4 | 50.00 | +25.00 |");
  assert.match(evaluation, "|  |  | acc_norm | 50.00 |  | 50.00 | ±0.00 |");
  const comparison = { task: "piqa", measure: "acc", n: 4, value: 0.5, other: 0.75, difference: -0.25, p: 1 };
  assert.match(
    renderTable("c", { ...about, kind: "comparison", comparison: [comparison] }),
    "| piqa | acc | 75.00 | 50.00 | −25.00 |  | 1.00 |",
  );
  const row = { row: "element/score 60 %", sparsity: 0.6, perplexity: 22.5, reference: 23, difference: -0.5 };
  assert.match(
    renderTable("r", {
      ...about,
      kind: "reference",
      tolerance: 0.15,
      windows: 3,
      rows: [row, { ...row, sparsity: 0, difference: 0.2 }],
    }),
    "| element, score basis, 60 % | 0.600 | 22.500 | 23.000 | −0.50 | better |\n| element, score basis, 60 % |  | 22.500 | 23.000 | +0.20 | no |",
  );
});

test.run();
