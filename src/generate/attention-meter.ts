import type { AttentionStats, HeadStats } from "../kv/counters.js";

/** Joins the attention statistics of several sessions: fractions by their weight, bytes of the largest session. */
export class AttentionMeter {
  readonly #seen: { length: number; stats: AttentionStats }[] = [];

  /** Books a session that ends, or a snapshot of one that goes on. */
  add(length: number, stats: AttentionStats): void {
    if (length > 0) this.#seen.push({ length, stats });
  }

  reset(): void {
    this.#seen.length = 0;
  }

  /** What `none` says when nothing was computed; else the average, `snapshots` of open sessions included. */
  total(none: AttentionStats, snapshots: readonly { length: number; stats: AttentionStats }[]): AttentionStats {
    const all = [...this.#seen, ...snapshots.filter(({ length }) => length > 0)];
    if (all.length === 0) return none;
    // A key is stored once per token, but multiplied by every later query: products grow with the square of the length.
    const mean = (power: 1 | 2, pick: (stats: AttentionStats) => number) => {
      const weights = all.map(({ length }) => length ** power);
      const sum = all.reduce((total, { stats }, i) => total + pick(stats) * (weights[i] as number), 0);
      return sum / weights.reduce((a, b) => a + b, 0);
    };
    const largest = all.reduce((best, one) => (one.length > best.length ? one : best)).stats;
    const heads = largest.heads.map(
      (head, i): HeadStats => ({
        ...head,
        deltaSparsity: mean(1, (stats) => stats.heads[i]?.deltaSparsity ?? 0),
        skippedValues: mean(2, (stats) => stats.heads[i]?.skippedValues ?? 0),
      }),
    );
    return {
      ...largest,
      deltaSparsity: mean(1, (stats) => stats.deltaSparsity),
      attentionSparsity: mean(1, (stats) => stats.attentionSparsity),
      skippedMacs: mean(2, (stats) => stats.skippedMacs),
      bytesRead: mean(1, (stats) => stats.bytesRead),
      heads,
    };
  }
}
