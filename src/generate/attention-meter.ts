import type { AttentionStats, HeadStats } from "../kv/counters.js";

/** Weighted sums over sessions; one of constant size, however many there were. */
class Sums {
  /** Σ length: what is counted once per key. */
  keys = 0;
  /** Σ length²: a key is multiplied by every later query. */
  products = 0;
  deltaSparsity = 0;
  attentionSparsity = 0;
  bytesRead = 0;
  skippedMacs = 0;
  selected = { completedGroups: 0, groups: 0, exponentials: 0 };
  heads: { deltaSparsity: number; skippedValues: number; completedGroups: number; groups: number }[] = [];
  largest: { length: number; stats: AttentionStats } | undefined;

  add(length: number, stats: AttentionStats): void {
    if (length === 0) return;
    const [once, squared] = [length, length ** 2];
    this.keys += once;
    this.products += squared;
    this.deltaSparsity += once * stats.deltaSparsity;
    this.attentionSparsity += once * stats.attentionSparsity;
    this.bytesRead += once * stats.bytesRead;
    this.skippedMacs += squared * stats.skippedMacs;
    for (const name of ["completedGroups", "groups", "exponentials"] as const)
      this.selected[name] += stats.selected?.[name] ?? 0;
    stats.heads.forEach((head, i) => {
      this.heads[i] ??= { deltaSparsity: 0, skippedValues: 0, completedGroups: 0, groups: 0 };
      const sum = this.heads[i];
      sum.deltaSparsity += once * head.deltaSparsity;
      sum.skippedValues += squared * head.skippedValues;
      sum.completedGroups += head.selected?.completedGroups ?? 0;
      sum.groups += head.selected?.groups ?? 0;
    });
    if (length > (this.largest?.length ?? 0)) this.largest = { length, stats };
  }

  copy(): Sums {
    return Object.assign(new Sums(), this, {
      heads: this.heads.map((head) => ({ ...head })),
      selected: { ...this.selected },
    });
  }
}

/** Joins the attention statistics of several sessions: fractions by their weight, bytes of the largest session. */
export class AttentionMeter {
  #ended = new Sums();

  /** Books a session that ends. */
  add(length: number, stats: AttentionStats): void {
    this.#ended.add(length, stats);
  }

  reset(): void {
    this.#ended = new Sums();
  }

  /** What `none` says when nothing was computed; else the average, `snapshots` of open sessions included. */
  total(none: AttentionStats, snapshots: readonly { length: number; stats: AttentionStats }[]): AttentionStats {
    const sums = this.#ended.copy();
    for (const { length, stats } of snapshots) sums.add(length, stats);
    const { keys, products, largest } = sums;
    if (!largest) return none;
    const heads = largest.stats.heads.map((head, i): HeadStats => {
      const { deltaSparsity = 0, skippedValues = 0, completedGroups = 0, groups = 0 } = sums.heads[i] ?? {};
      return {
        ...head,
        deltaSparsity: deltaSparsity / keys,
        skippedValues: skippedValues / products,
        ...(head.selected && { selected: { completedGroups, groups } }),
      };
    });
    return {
      ...largest.stats,
      deltaSparsity: sums.deltaSparsity / keys,
      attentionSparsity: sums.attentionSparsity / keys,
      bytesRead: sums.bytesRead / keys,
      skippedMacs: sums.skippedMacs / products,
      selected: largest.stats.selected && {
        ...largest.stats.selected,
        ...sums.selected,
        completedShare: sums.selected.groups ? sums.selected.completedGroups / sums.selected.groups : 1,
      },
      heads,
    };
  }
}
