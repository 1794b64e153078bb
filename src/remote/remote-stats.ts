import type { HeadStats } from "../kv/counters.js";
import type { ModelStats } from "../types.js";
import type { Note } from "./host.js";
import { unpackHeads } from "./packed-heads.js";

/** The statistics of a model in another thread, as of its latest answer. */
export class RemoteStats {
  #stats: Note["stats"];
  /** As they came, until they are asked for. */
  #heads: Float64Array | HeadStats[];

  constructor({ stats, heads }: Note) {
    this.#stats = stats;
    this.#heads = heads ?? [];
  }

  update({ stats, heads }: Note): void {
    this.#stats = stats;
    if (heads) this.#heads = heads;
  }

  get(): ModelStats {
    if (this.#heads instanceof Float64Array) this.#heads = unpackHeads(this.#heads);
    const { attention, ...stats } = this.#stats;
    return { ...stats, attention: { ...attention, heads: this.#heads } };
  }

  /** What `resetStats` does at the other side, until that answers. */
  reset(): void {
    const none = { tokens: 0, ms: 0, tokensPerSecond: 0 };
    this.#stats = { ...this.#stats, prefill: none, decode: none };
  }
}
