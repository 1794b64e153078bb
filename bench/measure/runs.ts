import { readFileSync } from "node:fs";
import { pairedRatio, spread } from "../harness/statistics.js";
import type { Result, Run } from "../harness/suite.js";
import type { Cell, PlainTable } from "../tables/measured.js";

/** What `npm run bench -- --json FILE` wrote; several runs of different groups as one. */
export function readRuns(files: readonly string[]): Run {
  const runs = files.map((file) => JSON.parse(readFileSync(file, "utf8")) as Run);
  return { ...(runs[0] as Run), results: runs.flatMap(({ results }) => results) };
}

function about({ date, runtime, machine: { processor, cores } }: Run): string {
  const day = new Date(date).toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
  return `${day}, ${runtime}, ${processor}, ${cores} cores, keys or weights from memory, medians`;
}

/** Time of the first case of a group over that of one of the others, in the same round. */
function timesAsFast(results: readonly Result[], wanted: Record<string, string | number>): Cell {
  const result = results.find(({ labels }) => Object.entries(wanted).every(([name, value]) => labels[name] === value));
  const first = result && results.find(({ group }) => group === result.group);
  return result && first ? pairedRatio(first.samples, result.samples).median : null;
}

/** Keys, and the share that is completed. */
const points = [
  [1024, 0.4],
  [4096, 0.4],
  [32768, 0.2],
  [131072, 0.1],
  [4096, 1],
  [32768, 1],
] as const;

/** Attention alone with selection: how many times as fast as full attention. */
export function selectionHeads(run: Run): PlainTable {
  const results = run.results.filter(({ suite }) => suite === "selection");
  const kernel = results.at(-1)?.labels.kernel ?? "";
  const ways = [128, 64].flatMap((headDim) =>
    [
      ["decode", 1],
      ["decode", 2],
      ["prefill", 1],
    ].map(([stage, threads]) => ({ headDim, stage, threads, kernel }) as Record<string, string | number>),
  );
  const title = ({ headDim, stage, threads }: Record<string, string | number>) =>
    `${headDim === 128 ? "128" : "64"}: ${stage}, ${threads} ${threads === 1 ? "thread" : "threads"}`;
  return {
    kind: "table",
    measured: `${about(run)}, ${kernel} kernels`,
    commands: [
      `npm run bench -- --only selection --only ${kernel} --json FILE`,
      "npm run measure -- selection-heads --run FILE",
    ],
    columns: [{ title: "keys" }, { title: "completed" }, ...ways.map((way) => ({ title: title(way), format: "2" }))],
    rows: points.map(([keys, share]) => [
      keys.toLocaleString("en"),
      share === 1 ? "all" : `${share * 100} %`,
      ...ways.map((way) => timesAsFast(results, { ...way, keys, share })),
    ]),
  };
}

/** Products that leave zeros out: their time over that of the product that computes all. */
export function zeroProducts(run: Run): PlainTable {
  const results = run.results.filter(({ suite }) => suite === "zeros");
  const unique = <T>(list: readonly T[]) => [...new Set(list)];
  const kernel = results.at(-1)?.labels.kernel;
  const groups = [true, false].flatMap((one) =>
    ["up", "down"].flatMap((matrix) => {
      const own = results.filter(
        ({ labels }) => labels.kernel === kernel && labels.matrix === matrix && (labels.tokens === 1) === one,
      );
      const tokens = one ? "1 token" : `${own[0]?.labels.tokens} tokens`;
      return own.length ? [{ title: `\`${matrix}\`, ${tokens}`, own }] : [];
    }),
  );
  const densities = unique(
    results.filter(({ labels }) => labels.product === "sparse").map(({ labels }) => labels.density),
  );
  const first = (own: readonly Result[]) => own.find(({ name }) => name === "dense") as Result;
  return {
    kind: "table",
    measured: `${about(run)}, one thread, BitNet-2B's up (6912 × 2560) and down (2560 × 6912), ${kernel} kernels`,
    commands: ["npm run bench -- --only zeros --json FILE", "npm run measure -- zero-products --run FILE"],
    columns: [{ title: "not zero" }, ...groups.map(({ title }) => ({ title, format: "2" }))],
    rows: [
      ...densities.map((density) => [
        `${Number(density) * 100} %`,
        ...groups.map(({ own }) => {
          const result = own.find(({ labels }) => labels.product === "sparse" && labels.density === density);
          return result ? pairedRatio(result.samples, first(own).samples).median : null;
        }),
      ]),
      ["time of all of it, ms", ...groups.map(({ own }) => spread(first(own).samples).median)],
    ],
  };
}
