import { pairedRatio, spread } from "../harness/statistics.js";
import type { Result, Run } from "../harness/suite.js";
import { rateOf, rateUnit } from "../harness/table.js";
import type { Chart, DotChart } from "./chart.js";

const IQR = "Bars: the middle half of the rounds.";

/** The plots of a run, by file name. */
export function chartsOf(run: Run): Map<string, Chart> {
  const where = `${run.machine.processor}, ${run.runtime}, ${run.date.slice(0, 10)}.`;
  const charts = new Map<string, Chart>();
  const of = (suite: string) => run.results.filter((result) => result.suite === suite);
  const add = (name: string, chart: Chart) => {
    if (chart.points.length) charts.set(name, { ...chart, subtitle: `${chart.subtitle} ${where}` });
  };
  add("ternary", ternary(of("ternary")));
  add("zeros", zeros(of("zeros")));
  add("matmul", {
    kind: "dots",
    title: "Matrix products by weight layout",
    subtitle: `One thread, weights from memory; to the right is faster. ${IQR}`,
    valueLabel: "10⁹ multiply–adds per second",
    zero: true,
    points: of("matmul").map((result) => ({
      ...rate(result),
      name: String(result.labels.layout),
      series: `${result.labels.kernel} kernels`,
      column: String(result.labels.product),
    })),
  });
  add("attention-parts", parts(of("attention-parts")));
  for (const stage of ["decode", "prefill"])
    add(`attention-${stage}`, {
      ...ratios(`Attention with a delta cache against full attention: ${stage}`),
      subtitle: `One KV head with 4 query heads, one thread. Left of the dashed line is faster than full attention. ${IQR}`,
      points: ratioPoints(of("attention").filter(({ labels }) => labels.stage === stage)).map(
        ({ result, ...point }) => ({
          ...point,
          series: `${result.labels.kernel} kernels`,
          column: `${keyCount(result)}, ${result.labels.where}`,
          row: `d = ${result.labels.headDim}`,
        }),
      ),
    });
  add("selection", selection(of("selection")));
  add("bandwidth", {
    ...ratios("Where memory is the limit: decode over keys that fit no cache"),
    subtitle: `SmolLM2's heads; all layers' keys and values are read for every token. Left of the dashed line is faster than full attention. ${IQR}`,
    points: ratioPoints(of("bandwidth")).map(({ result, ...point }) => ({
      ...point,
      series: `${result.labels.threads} ${result.labels.threads === 1 ? "thread" : "threads"}`,
      column: keyCount(result),
    })),
  });
  add("rows", {
    kind: "lines",
    title: "Sequences that decode at once",
    subtitle: `One pass makes a token of each sequence, logits of every row. Higher is faster. ${IQR}`,
    xLabel: "sequences",
    valueLabel: "tokens per second, all together",
    zero: true,
    points: of("rows").map((result) => ({
      ...rate(result),
      x: Number(result.labels.sequences),
      series: `${result.labels.threads} ${result.labels.threads === 1 ? "thread" : "threads"}`,
      column: String(result.labels.shape),
    })),
  });
  const clients = {
    kind: "lines",
    xLabel: "clients",
    zero: true,
  } as const;
  const atClients = (result: Result) => ({
    x: Number(result.labels.clients),
    series: String(result.labels.way),
    column: String(result.labels.model).replace("random:", ""),
  });
  add("server-throughput", {
    ...clients,
    title: "Clients of the server: throughput",
    subtitle: `All ask at the same moment; answers computed together, and one after the other. Higher is faster. ${IQR}`,
    valueLabel: "tokens per second, all together",
    points: of("server").map((result) => ({ ...rate(result), ...atClients(result) })),
  });
  add("server-latency", {
    ...clients,
    title: "Clients of the server: time until an answer is whole",
    subtitle: "All ask at the same moment; the mean over clients and rounds. Lower is faster.",
    valueLabel: "seconds",
    points: of("server").map((result) => {
      const value = Number(result.facts.answerMs) / 1000;
      return { value, low: value, high: value, ...atClients(result) };
    }),
  });
  for (const stage of ["prefill", "decode"])
    add(`model-${stage}`, {
      kind: "dots",
      title: `Whole models: ${stage}`,
      subtitle: `To the right is faster. ${IQR}`,
      valueLabel: "tokens per second",
      logarithmic: true,
      points: of("model")
        .filter(({ labels }) => labels.stage === stage)
        .map((result) => ({ ...rate(result), name: `${modelName(result)}: ${result.name}`, series: stage })),
    });
  add("tokenizer", {
    kind: "dots",
    title: "Tokenizers",
    subtitle: `Text to ids and back; to the right is faster. ${IQR}`,
    valueLabel: "tokens per second",
    zero: true,
    points: of("tokenizer").map((result) => ({
      ...rate(result),
      name: String(result.labels.text),
      series: String(result.labels.way),
      column: String(result.labels.model),
    })),
  });
  add("load", {
    kind: "dots",
    title: "Loading a matrix, by type in the file",
    subtitle: `Copied and repacked by one thread; to the right is faster. ${IQR}`,
    valueLabel: "GB of the file per second",
    zero: true,
    points: of("load").map((result) => ({
      ...rate(result),
      name: String(result.labels.type),
      series: `${result.labels.kernel} kernels`,
    })),
  });
  return charts;
}

function rate(result: Result) {
  const { q1, median, q3 } = spread(result.samples);
  return { value: rateOf(result, median), low: rateOf(result, q3), high: rateOf(result, q1) };
}

function ternary(results: readonly Result[]): Chart {
  const unit = results[0] ? rateUnit(results[0].unit) : "";
  const common = {
    title: "Ternary matrix products by share of zero weights",
    subtitle: `Weights from memory, one thread; GEMV: one token, GEMM: 64 tokens. Higher is faster. ${IQR}`,
    valueLabel: unit,
    zero: true,
  };
  const points = results.map((result) => ({
    ...rate(result),
    series: String(result.labels.kernel),
    column: String(result.labels.shape),
    row: String(result.labels.product),
  }));
  return {
    kind: "lines",
    ...common,
    xLabel: "zero weights, %",
    xDomain: [0, 100],
    points: points.map((point, i) => ({ ...point, x: Number(results[i]?.labels.zeros) * 100 })),
  };
}

function zeros(results: readonly Result[]): Chart {
  const points = results
    .filter(({ labels }) => labels.product === "sparse")
    .flatMap((result) => {
      const dense = results.find(({ group, name }) => group === result.group && name === "dense");
      if (!dense) return [];
      const { q1, median, q3 } = pairedRatio(result.samples, dense.samples);
      const { density, matrix, tokens, kernel } = result.labels;
      return [
        {
          value: median,
          low: q1,
          high: q3,
          x: Number(density) * 100,
          series: `${matrix}, ${kernel} kernels`,
          column: Number(tokens) === 1 ? "decode" : `prefill, ${tokens} tokens`,
        },
      ];
    });
  return {
    kind: "lines",
    title: "Products that leave zeros out, against products that compute all",
    subtitle: `BitNet-2B's up and down (2560 × 6912), one thread, weights from memory. Below the dashed line zeros are worth leaving out. ${IQR}`,
    xLabel: "gates that are open, inputs of down that are not zero, %",
    xDomain: [0, 100],
    valueLabel: "time ÷ time of all of it",
    zero: true,
    reference: { value: 1, label: "all computed" },
    points,
  };
}

function selection(results: readonly Result[]): Chart {
  const kernels = unique(results.map(({ labels }) => labels.kernel));
  const points = results
    .filter(({ labels }) => labels.kernel === kernels.at(-1) && labels.share !== "full" && labels.threads === 1)
    .flatMap((result) => {
      const full = results.find(({ group, name }) => group === result.group && name === "full");
      if (!full) return [];
      const { q1, median, q3 } = pairedRatio(result.samples, full.samples);
      const { stage, headDim } = result.labels;
      const x = 100 * Number(result.facts.completedShare);
      const panel = { column: String(stage), row: `d = ${headDim}` };
      return [{ value: median, low: q1, high: q3, x, series: keyCount(result), ...panel }];
    });
  return {
    kind: "lines",
    title: "Attention with selection, against full attention",
    subtitle: `Four query heads per KV head, one thread, ${kernels.at(-1)} kernels, keys from memory. Below the dashed line selection is worth it. ${IQR}`,
    xLabel: "groups of keys completed, %",
    xDomain: [0, 100],
    valueLabel: "time ÷ time of full attention",
    zero: true,
    reference: { value: 1, label: "full attention" },
    points,
  };
}

function parts(results: readonly Result[]): DotChart {
  return {
    kind: "dots",
    title: "Decode attention, part by part",
    subtitle: `One KV head with 4 query heads, one thread; delta caches drop 60 % of the differences. To the left is faster. ${IQR}`,
    valueLabel: "nanoseconds per key, for 4 query heads",
    zero: true,
    points: results.map((result) => {
      const { q1, median, q3 } = spread(result.samples);
      const perKey = (ms: number) => (ms * 1e6) / Number(result.labels.keys);
      return {
        value: perKey(median),
        low: perKey(q1),
        high: perKey(q3),
        name: result.name,
        series: `${result.labels.kernel} kernels`,
        column: `${keyCount(result)}, ${result.labels.where}`,
        row: `d = ${result.labels.headDim}`,
      };
    }),
  };
}

const unique = <T>(list: readonly T[]): T[] => [...new Set(list)];

const keyCount = ({ labels: { keys } }: Result) => {
  const count = Number(keys);
  return count % 1024 === 0 ? `${count / 1024}k keys` : `${count} keys`;
};

const modelName = ({ labels: { model, depth } }: Result) =>
  `${String(model).replace("random:", "")}${depth ? ` after ${depth}` : ""}`;

function ratios(title: string): Omit<DotChart, "subtitle" | "points"> {
  return {
    kind: "dots",
    title,
    valueLabel: "time ÷ time of full attention",
    reference: { value: 1, label: "full attention" },
  };
}

/** Time of each delta setting against full attention in the same group and round. */
function ratioPoints(results: readonly Result[]) {
  return results.flatMap((result) => {
    const full = results.find(({ group, labels }) => group === result.group && labels.grain === "full");
    if (!full || full === result) return [];
    const { q1, median, q3 } = pairedRatio(result.samples, full.samples);
    return [{ result, name: result.name, value: median, low: q1, high: q3 }];
  });
}
