import { readdirSync, readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { SweepPoint, SweepSummary } from "#src/eval/sweep.js";
import type { Result, Run } from "../../bench/harness/suite.js";
import { drawChart } from "../../bench/plots/chart.js";
import { chartsOf } from "../../bench/plots/charts.js";
import { sweepReport } from "../../bench/report/sweep.js";
import { atRoot } from "../helpers/fixtures.js";

/** Previews and converters know no style sheets: everything is an attribute, with a colour that is one on its own. */
function checkAttributes(svg: string): void {
  assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  assert.not.match(svg, /<style|class=|style=|var\(|currentColor|hsl\(|<script|https?:\/\/(?!www\.w3\.org)/);
  for (const [, colour] of svg.matchAll(/(?:fill|stroke)=("[^"]*"|[^ >]*)/g))
    assert.match(colour as string, /^"(#[0-9a-f]{3}|#[0-9a-f]{6}|none)"$/);
  assert.match(svg, /<rect [^>]*fill="#fff/, "a panel, on which the colours are legible on any page");
}

/** A drawn chart is one SVG file with its texts, and nothing in it failed to become a number. */
function checkSvg(svg: string, ...texts: string[]): void {
  checkAttributes(svg);
  assert.not.match(svg, /NaN|undefined|Infinity/);
  for (const text of texts) assert.ok(svg.includes(`>${text}</text>`), `no ${text}`);
}

test("the pictures of docs need no style sheets", () => {
  const files = readdirSync(atRoot("docs")).filter((name) => name.endsWith(".svg"));
  assert.ok(files.length > 0);
  for (const file of files) checkAttributes(readFileSync(atRoot(`docs/${file}`), "utf8"));
});

test("the plots of a run have axes with units, names and intervals", () => {
  const result = (suite: string, name: string, labels: Result["labels"], samples: number[]): Result => {
    return { suite, group: "g", name, labels, unit: "MAC", work: 1e6, samples, facts: {} };
  };
  const labels = { kernel: "simd", headDim: 64, keys: 4096, where: "cache", stage: "decode", part: "PV" };
  const run: Run = {
    format: "deltallm-bench",
    version: 1,
    date: "2026-01-01T00:00:00.000Z",
    package: "0.0.0",
    size: "quick",
    machine: { processor: "A&B<C>", cores: 1, system: "test" },
    runtime: "Node 0",
    kernel: { family: "simd", dots: { gemv: 0, gemm: 0 } },
    threads: 1,
    results: [
      result("attention", "full", { ...labels, grain: "full" }, [1, 2, 3]),
      result("attention", "row 60 %", { ...labels, grain: "row" }, [0.5, 1, 2]),
      result("attention-parts", "PV", labels, [1, 2, 3]),
      result("ternary", "simd, 33 % zeros", { kernel: "simd", shape: "1×1", product: "GEMV", zeros: 0.33 }, [1, 1, 1]),
    ],
  };
  const charts = chartsOf(run);
  assert.equal([...charts.keys()], ["ternary", "attention-parts", "attention-decode"]);
  const svg = (name: string) => drawChart(charts.get(name) as Parameters<typeof drawChart>[0]);
  checkSvg(svg("attention-decode"), "row 60 %", "4k keys, cache", "d = 64", "full attention");
  assert.match(svg("attention-decode"), "time ÷ time of full attention");
  assert.match(svg("attention-decode"), "A&amp;B&lt;C&gt;");
  checkSvg(svg("attention-parts"), "PV");
  checkSvg(svg("ternary"), "GEMV");
  assert.match(svg("ternary"), "10⁹ MAC/s");
});

test("selection is drawn over the share that was completed, one line per context length, every dot where it belongs", () => {
  const labels = { kernel: "relaxed", headDim: 64, stage: "decode", threads: 1 };
  const of = (keys: number, share: number | "full", ms: number, threads = 1): Result => ({
    ...{ suite: "selection", group: `${keys}, ${threads}`, unit: "MAC", work: 1, samples: [ms, ms, ms] },
    name: share === "full" ? "full" : `${share * 100} %`,
    labels: { ...labels, keys, share, threads },
    facts: { completedShare: share === "full" ? 1 : share },
  });
  const results = [1024, 4096].flatMap((keys) => [of(keys, "full", 2), of(keys, 0.5, 1), of(keys, 1, 2)]);
  results.push(of(4096, "full", 2, 2), of(4096, 0.5, 1, 2));
  const machine = { processor: "P", cores: 1, system: "test" };
  const kernel = { family: "relaxed", dots: { gemv: 0, gemm: 0 } } as const;
  const about = { format: "deltallm-bench", version: 1, date: "2026", package: "0", size: "quick" } as const;
  const chart = chartsOf({ ...about, machine, runtime: "R", kernel, threads: 1, results }).get("selection");
  const points = chart?.points as readonly { x: number; value: number; series: string }[];
  assert.equal(
    points.map(({ x, value, series }) => [series, x, value]),
    [
      ["1k keys", 50, 0.5],
      ["1k keys", 100, 1],
      ["4k keys", 50, 0.5],
      ["4k keys", 100, 1],
    ],
  );
  const svg = drawChart(chart as Parameters<typeof drawChart>[0]);
  checkSvg(svg, "1k keys", "4k keys", "full attention", "decode", "d = 64");
  // Squares of 4k: two places, half the width of the axis apart.
  const squares = [...svg.matchAll(/M([\d.]+),([\d.]+)l7.1,0l0,7.1l-7.1,0z/g)].map(([, x, y]) => [
    Number(x),
    Number(y),
  ]);
  const circles = [...svg.matchAll(/<circle r="4" cy="[\d.]+" cx="([\d.]+)"/g)].map(([, x]) => Number(x));
  assert.is(squares.length, 2);
  assert.is(circles.length, 2);
  assert.ok(
    (squares[1]?.[0] as number) > (squares[0]?.[0] as number) &&
      (squares[1]?.[1] as number) < (squares[0]?.[1] as number),
  );
  assert.not.match(svg, /\d\.\d\d|aria-/);
});

test("the report of a sweep: tables, the sparsest harmless setting, plots beside it", () => {
  const point = (name: string, grain: string | undefined, sparsity: number, change: number): SweepPoint => ({
    name,
    attention: { kind: grain ? "delta" : "full", grain, targetSparsity: sparsity },
    stats: {
      kind: grain ? "delta" : "full",
      grain: "element",
      basis: "score",
      deltaSparsity: sparsity,
      attentionSparsity: sparsity * 0.9,
      skippedMacs: 0,
      bytesRead: 1 - sparsity / 2,
      kvBytes: 80,
      kvBytesFull: 100,
    },
    speed: { prefill: { tokens: 100, ms: 900 }, decode: { tokens: 20, ms: 100 } },
    tasks: [{ task: "perplexity", n: 12, cut: 0, measures: { perplexity: { value: 20 * Math.exp(change) } } }],
    comparison: grain
      ? [
          {
            task: "perplexity",
            measure: "nll",
            n: 12,
            value: change,
            other: 0,
            difference: change,
            ci: [change - 0.001, change + 0.001],
          },
        ]
      : undefined,
  });
  const sweep: SweepSummary = {
    format: "deltallm-sweep",
    version: 1,
    model: { name: "Test", fingerprint: "0" },
    settings: { textWindow: 512 },
    tasks: [{ task: "perplexity", n: 12 }],
    points: [
      point("full", undefined, 0, 0),
      point("grain=element sparsity=0.3", "element", 0.3, 0.0005),
      point("grain=element sparsity=0.6", "element", 0.6, 0.005),
      point("grain=element sparsity=0.8", "element", 0.8, 0.05),
      point("grain=row sparsity=0.3", "row", 0.3, 0.2),
    ],
  };
  const { markdown, charts } = sweepReport([sweep, sweep], "sweep-test", { note: "A note.", name: "Test model" });
  assert.match(markdown, "# Test model: delta attention");
  assert.match(markdown, "perplexity (12 windows of 512 tokens). A note.");
  assert.match(markdown, "| element | 60.0 % | 54.0 % | 80.0 % | perplexity +0.50 % |");
  assert.match(markdown, "| row | none measured |");
  assert.match(markdown, "| full | 0.0 % | 0.0 % | 0.0 % | 100.0 % | 80.0 % | 120.0 | 20.00 |");
  assert.match(markdown, "| 20.10 (+0.50 % \\*) |");
  const slim = sweepReport([sweep], "sweep-test", { note: "", stats: [sweep], speed: false });
  assert.match(slim.markdown, "- Sparsities, bytes and memory are those of perplexity (12 windows of 512 tokens).");
  assert.match(slim.markdown, "| full | 0.0 % | 0.0 % | 0.0 % | 100.0 % | 80.0 % | 20.00 |");
  assert.equal([...slim.charts.keys()], ["sweep-test-perplexity.svg", "sweep-test-memory.svg"]);
  assert.equal([...charts.keys()], ["sweep-test-perplexity.svg", "sweep-test-memory.svg", "sweep-test-speed.svg"]);
  for (const [name, chart] of charts) {
    assert.match(markdown, `](${name})`);
    checkSvg(drawChart(chart), "element", "row", "full attention");
  }
});

test.run();
