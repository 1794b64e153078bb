import { mannWhitney, medianRatio, spread } from "./statistics.js";
import type { Result, Run } from "./suite.js";
import { formatTime } from "./table.js";

export interface Rule {
  /** Smallest change of the median that counts, as a share. */
  threshold: number;
  /** Largest probability of the Mann–Whitney test that counts. */
  alpha: number;
}

/** One case in both runs. */
export interface Change {
  before: Result;
  after: Result;
  /** Median time after / before, with the 95 % bootstrap interval. */
  ratio: number;
  low: number;
  high: number;
  p: number;
  verdict: "slower" | "faster" | "same";
}

export interface Comparison {
  cases: Change[];
  /** Names of cases that are in one run only. */
  onlyBefore: string[];
  onlyAfter: string[];
}

const keyOf = ({ suite, group, name }: Result) => `${suite}: ${group}: ${name}`;

/** One run with the samples of all; runs repeated in turns with those of the other side even out what lasts. */
export function joinRuns(runs: readonly Run[]): Run {
  const joined = new Map<string, Result>();
  for (const { results } of runs)
    for (const result of results) {
      const known = joined.get(keyOf(result));
      joined.set(keyOf(result), { ...result, samples: [...(known?.samples ?? []), ...result.samples] });
    }
  return { ...(runs[0] as Run), results: [...joined.values()] };
}

/**
 * Times in units of the time of the first case of the same group in the same round; the first cases are left out. Cancels
 * what slows a whole run down, and sees only what changed between the cases of a group.
 */
export function relativeRun(run: Run): Run {
  const first = new Map<string, Result>();
  const results: Result[] = [];
  for (const result of run.results) {
    const group = `${result.suite}: ${result.group}`;
    const base = first.get(group);
    if (!base) first.set(group, result);
    else results.push({ ...result, samples: result.samples.map((x, i) => x / (base.samples[i] as number)) });
  }
  return { ...run, results };
}

/**
 * What changed beyond noise: the medians differ by at least `threshold`, the bootstrap interval of their ratio does not
 * contain 1, and the Mann–Whitney test gives p ≤ `alpha`. The rounds of a run are the samples.
 */
export function compareRuns(before: Run, after: Run, { threshold, alpha }: Rule): Comparison {
  const old = new Map(before.results.map((result) => [keyOf(result), result]));
  const cases: Change[] = [];
  const onlyAfter: string[] = [];
  for (const result of after.results) {
    const earlier = old.get(keyOf(result));
    if (!earlier || earlier.work !== result.work) {
      onlyAfter.push(keyOf(result));
      continue;
    }
    old.delete(keyOf(result));
    const change = medianRatio(earlier.samples, result.samples);
    const p = mannWhitney(earlier.samples, result.samples);
    const sure = p <= alpha && (change.low > 1 || change.high < 1);
    const verdict = !sure
      ? "same"
      : change.ratio >= 1 + threshold
        ? "slower"
        : change.ratio <= 1 - threshold
          ? "faster"
          : "same";
    cases.push({ before: earlier, after: result, ...change, p, verdict });
  }
  return { cases, onlyBefore: [...old.keys()], onlyAfter };
}

const machine = ({ machine: { processor, cores }, runtime, kernel, date }: Run) =>
  `${runtime}, ${kernel.family} kernels, ${processor}, ${cores} cores, ${date}`;

/** The comparison for people; unchanged cases only with `all`. */
export function comparisonTable(
  before: Run,
  after: Run,
  { cases, onlyBefore, onlyAfter }: Comparison,
  { threshold, alpha, all, relative = false }: Rule & { all: boolean; relative?: boolean },
): string {
  const median = (samples: readonly number[]) =>
    relative ? `× ${spread(samples).median.toFixed(2)}` : formatTime(spread(samples).median);
  const missing = (where: string, names: readonly string[]) =>
    names.length === 0
      ? []
      : all
        ? [`${where}:`, ...names.map((name) => `  ${name}`)]
        : [`${where}: ${names.length} cases`];
  const count = (verdict: Change["verdict"]) => cases.filter((each) => each.verdict === verdict).length;
  const shown = cases.filter(({ verdict }) => all || verdict !== "same").sort((a, b) => b.ratio - a.ratio);
  const width = Math.max(0, ...shown.map(({ after }) => keyOf(after).length));
  const lines = shown.map(({ before, after, ratio, low, high, p, verdict }) =>
    [
      verdict.padEnd(6),
      keyOf(after).padEnd(width),
      median(before.samples).padStart(8),
      "→",
      median(after.samples).padStart(8),
      ` × ${ratio.toFixed(3)} (${low.toFixed(3)} … ${high.toFixed(3)})`,
      ` p = ${p < 0.001 ? p.toExponential(1) : p.toFixed(3)}`,
    ].join(" "),
  );
  const different = before.machine.processor !== after.machine.processor || before.runtime !== after.runtime;
  const chance = Math.round(cases.length * alpha * 10) / 10;
  return [
    `before: ${machine(before)}`,
    `after:  ${machine(after)}`,
    ...(different ? ["Not the same machine and runtime: differences are not those of the code."] : []),
    "",
    ...lines,
    ...(lines.length ? [""] : []),
    `${cases.length} cases: ${count("slower")} slower, ${count("faster")} faster, ${count("same")} the same`,
    ...missing("only before", onlyBefore),
    ...missing("only after", onlyAfter),
    `Changed means: medians differ by ${threshold * 100} % or more, the 95 % interval of their ratio excludes 1, and`,
    `Mann–Whitney p ≤ ${alpha} (of ${cases.length} unchanged cases ${chance} would pass that last test by chance).`,
  ].join("\n");
}
