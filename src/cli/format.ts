import type { AttentionStats, FfnLayersStats, FfnStats, ModelStats, Speed } from "../types.js";

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
export function formatAttention(attention: Omit<AttentionStats, "heads">): string {
  const { kind, grain, basis, deltaSparsity, attentionSparsity, skippedMacs, bytesRead } = attention;
  const cost = `${percent(skippedMacs)} of its MACs skipped, ${percent(bytesRead)} of the full cache's bytes read`;
  const { selected, valueCutoff } = attention;
  const cutoff = valueCutoff ? `; value cutoff ${valueCutoff}` : "";
  const keys = selected
    ? `; selection with slope ${selected.slope}: ${percent(selected.completedShare)} of the keys completed${cutoff}`
    : cutoff;
  // Full attention that skips no values has nothing to report.
  if (kind === "full" && skippedMacs === 0 && !selected) return "full";
  return kind === "full"
    ? `full${selected ? `, ${basis}` : ""}; ${cost}${keys}`
    : `delta, ${grain}, ${basis}; delta sparsity ${percent(deltaSparsity)}, attention sparsity ${percent(attentionSparsity)}; ${cost}${keys}`;
}

/** Attention for JSON: nine figures, and those of every layer, head and stage only when asked for. */
export function attentionJson(attention: AttentionStats, heads: boolean | undefined): object {
  const { heads: all, ...figures } = attention;
  return heads ? { ...figures, heads: all } : figures;
}

/** Sparsity of every layer and KV head, prefill / decode; empty where nothing was left out. */
function formatHeads({ heads }: AttentionStats): string {
  if (!heads.some(({ deltaSparsity, skippedValues }) => deltaSparsity || skippedValues)) return "";
  const kvHeads = Math.max(...heads.map(({ kvHead }) => kvHead)) + 1;
  const rows = new Map<number, string[]>();
  for (const { layer, kvHead, stage, deltaSparsity, skippedValues } of heads) {
    const row = rows.get(layer) ?? [String(layer)];
    rows.set(layer, row);
    const at = 1 + kvHead * 2;
    const join = (old: string | undefined, value: number) =>
      stage === "prefill" ? percent(value) : `${old} / ${percent(value)}`;
    row[at] = join(row[at], deltaSparsity);
    row[at + 1] = join(row[at + 1], skippedValues);
  }
  const header = ["layer", ...Array.from({ length: kvHeads }, (_, h) => [`head ${h} zeros`, "values skipped"]).flat()];
  const right = header.map((_, i) => i);
  return `\n\nper KV head, prefill / decode\n${formatTable([header, ...rows.values()], right)}`;
}

/** What `--stats` prints. */
export function formatStats(stats: ModelStats, more: readonly (readonly [string, string])[] = []): string {
  const { attention } = stats;
  const table = formatTable([
    speedRow("prefill", stats.prefill),
    speedRow("decode", stats.decode),
    ["memory", `${formatBytes(stats.memoryBytes)}, of it weights ${formatBytes(stats.weightBytes)}`],
    ["keys, values", `${formatBytes(attention.kvBytes)} (full int8 cache: ${formatBytes(attention.kvBytesFull)})`],
    ["context", `${stats.contextLeft} tokens left`],
    ...(formatAttention(attention) === "full" ? [] : [["attention", formatAttention(attention)]]),
    ...(stats.ffn ? [["zeros", formatFfn(stats.ffn)] as const] : []),
    ["kernels", stats.kernel],
    ["threads", `${stats.threads} (${stats.threadsReason})`],
    ...more,
  ]);
  return table + formatHeads(attention) + formatFfnLayers(stats.ffn);
}

/** What zeros saved in feed-forward networks, in a line. */
export function formatFfn(ffn: FfnStats | undefined): string {
  if (!ffn) return "";
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  return (
    `${percent(ffn.zeroGates)} of gates, ${percent(ffn.zeroInputs)} of inputs of down; left out: ` +
    `${percent(ffn.skippedShare)} of the products of up and down, ${formatBytes(ffn.skippedBytes)}`
  );
}

function formatFfnLayers(ffn: FfnLayersStats | undefined): string {
  if (!ffn) return "";
  return `\n\n${formatTable(ffn.layers.map((layer, i) => [`layer ${i}`, formatFfn(layer)]))}`;
}

/** The same for `--json`; layers only if asked for. */
export function ffnJson(ffn: FfnLayersStats | undefined, layers: boolean | undefined): FfnStats | undefined {
  if (!ffn || layers) return ffn;
  const { layers: _, ...all } = ffn;
  return all;
}
