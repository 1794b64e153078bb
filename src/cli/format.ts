import type { AttentionStats, ModelStats, Speed } from "../types.js";

/** A byte count for people: powers of 1000, as drives and downloads are counted. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB"];
  let value = bytes;
  let unit = "";
  for (let i = 0; i < units.length && value >= 1000; i++) {
    value /= 1000;
    unit = units[i] as string;
  }
  return `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)} ${unit}`;
}

/** Without control characters other than newline and tab: what a model or file says must not steer the terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "");
}

/** Columns padded to their widest cell; the columns named in `right` are aligned to the right. */
export function formatTable(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  return rows
    .map((row) =>
      row
        .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i] as number) : cell.padEnd(widths[i] as number)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function speedRow(label: string, { tokens, ms, tokensPerSecond }: Speed): string[] {
  return [label, `${tokens} tokens, ${ms.toFixed(0)} ms, ${tokensPerSecond.toFixed(1)} tokens/s`];
}

const percent = (fraction: number) => `${(fraction * 100).toFixed(1)} %`;

/** One line about attention. */
export function formatAttention(attention: AttentionStats): string {
  const { kind, grain, basis, deltaSparsity, attentionSparsity, skippedMacs, bytesRead } = attention;
  const cost = `${percent(skippedMacs)} of its MACs skipped, ${percent(bytesRead)} of the full cache's bytes read`;
  return kind === "full"
    ? `full; ${cost}`
    : `delta, ${grain}, ${basis}; delta sparsity ${percent(deltaSparsity)}, attention sparsity ${percent(attentionSparsity)}; ${cost}`;
}

/** What `--stats` prints. */
export function formatStats(stats: ModelStats, more: readonly (readonly [string, string])[] = []): string {
  const { attention } = stats;
  return formatTable([
    speedRow("prefill", stats.prefill),
    speedRow("decode", stats.decode),
    ["memory", `${formatBytes(stats.memoryBytes)}, of it weights ${formatBytes(stats.weightBytes)}`],
    ["keys, values", `${formatBytes(attention.kvBytes)} (full int8 cache: ${formatBytes(attention.kvBytesFull)})`],
    ["attention", formatAttention(attention)],
    ["kernels", stats.kernel],
    ["threads", `${stats.threads} (${stats.threadsReason})`],
    ...more,
  ]);
}
