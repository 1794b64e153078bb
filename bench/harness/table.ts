import { pairedRatio, spread } from "./statistics.js";
import type { Result, Suite, Unit } from "./suite.js";

const units: Record<Unit, { name: string; perMs: number }> = {
  MAC: { name: "10⁹ MAC/s", perMs: 1e6 },
  byte: { name: "GB/s", perMs: 1e6 },
  token: { name: "tokens/s", perMs: 1e-3 },
};

/** Name of the rate of a unit. */
export const rateUnit = (unit: Unit): string => units[unit].name;

/** Rate at which a case does its work when one call takes `ms`. */
export const rateOf = ({ work, unit }: Pick<Result, "work" | "unit">, ms: number): number =>
  work / ms / units[unit].perMs;

/** Milliseconds in a unit that suits them. */
export function formatTime(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toPrecision(3)} s`;
  if (ms >= 1) return `${ms.toPrecision(3)} ms`;
  if (ms >= 1e-3) return `${(ms * 1e3).toPrecision(3)} µs`;
  return `${(ms * 1e6).toPrecision(3)} ns`;
}

export function formatRate(rate: number): string {
  return rate >= 1000 ? Math.round(rate).toLocaleString("en") : rate.toPrecision(3);
}

const facts: Record<string, (value: number) => string> = {
  deltaSparsity: (x) => (x ? `${Math.round(x * 100)} % dropped` : ""),
  bytesRead: (x) => `${Math.round(x * 100)} % of bytes read`,
  skippedMacs: (x) => (x >= 0.005 ? `${Math.round(x * 100)} % of MACs skipped` : ""),
  charactersPerToken: (x) => `${x.toFixed(2)} characters per token`,
};

const NAME = 44;
/** Columns after the name, to the right. */
const WIDTHS = [9, 9, 12, 8];

function row(name: string, cells: readonly string[], rest = ""): string {
  const aligned = cells.map((cell, i) => cell.padStart(WIDTHS[i] ?? 0));
  return `${[name.padEnd(NAME), ...aligned].join(" ")}  ${rest}`.trimEnd();
}

/** The head of a suite's table. */
export function tableHead({ title, unit }: Pick<Suite, "title" | "unit">): string {
  return `\n${title}\n${row("", ["time", "spread", rateUnit(unit), "ratio"])}`;
}

/**
 * The rows of one group: median of the rounds, half the interquartile range, rate, and the median of the time against
 * the first case in the same round.
 */
export function groupTable(results: readonly Result[]): string {
  const first = results[0] as Result;
  const rows = results.map((result) => {
    const { q1, median, q3 } = spread(result.samples);
    const ratio = result === first ? "" : `× ${pairedRatio(result.samples, first.samples).median.toFixed(2)}`;
    const more = Object.entries(result.facts).map(([name, value]) => facts[name]?.(value) ?? "");
    const cells = [
      formatTime(median),
      `± ${(((q3 - q1) / 2 / median) * 100).toFixed(1)} %`,
      formatRate(rateOf(result, median)),
      ratio,
    ];
    const name = results.length > 1 ? `    ${result.name}` : `  ${result.group}: ${result.name}`;
    return row(name, cells, more.filter(Boolean).join(", "));
  });
  return [...(results.length > 1 ? [`  ${first.group}`] : []), ...rows].join("\n");
}
