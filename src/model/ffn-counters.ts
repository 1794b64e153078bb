import type { Weight } from "../matmul/weight.js";
import type { Memory } from "../memory/memory.js";
import type { Thread } from "../threads/thread.js";
import type { FfnLayersStats, FfnStats } from "./ffn-stats.js";
import type { LayerWeights, ModelPlan } from "./plan.js";

// What was left out of feed-forward networks, counted per thread and layer so that nobody waits: f64 numbers, added to.
/** By the kernel: gates that were not zero, rows of `up` that no token of a pass needed. */
const ACTIVE_GATES = 0;
const IDLE_ROWS = 1;
const TOKENS = 2;
/** Inputs of `down` that were not zero; those that were and were left out; columns that no token of a pass needed. */
const ACTIVE_INPUTS = 3;
const SKIPPED_INPUTS = 4;
const IDLE_COLUMNS = 5;
const INPUTS = 6;
/** Zero gates whose rows were computed all the same. */
const COMPUTED_ZEROS = 7;
const BYTES = 64;

/** Bytes of the counters of all threads. */
export function ffnCounterBytes(layers: number, threads: number): number {
  return layers * threads * BYTES;
}

/** Where a thread counts what happens in a layer. */
export function ffnCountersOf(thread: Thread, { buffers, layers }: ModelPlan, layer: number): number {
  return buffers.ffnCounters + (thread.index * layers.length + layer) * BYTES;
}

function add(thread: Thread, address: number, counter: number, value: number): void {
  thread.kernels.add_count(address + counter * 8, value);
}

/** Tokens whose gates were computed. */
export function bookTokens(thread: Thread, counters: number, tokens: number): void {
  add(thread, counters, TOKENS, tokens);
}

/** Gates that are not zero, where they were computed with all of `up`. */
export function bookGates(thread: Thread, counters: number, gates: number, active: number): void {
  add(thread, counters, ACTIVE_GATES, active);
  add(thread, counters, COMPUTED_ZEROS, gates - active);
}

/** A product with all of `down`: its inputs, and those that are not zero. */
export function bookInputs(thread: Thread, counters: number, inputs: number, active: number): void {
  add(thread, counters, INPUTS, inputs);
  add(thread, counters, ACTIVE_INPUTS, active);
}

/** A product with `down` by columns: inputs that are not zero; where zeros are left out, these, and columns nobody needs. */
export function bookColumns(
  { kernels }: Thread,
  counters: number,
  { columns }: Weight,
  tokens: number,
  active: number,
  sparse: boolean,
): void {
  const inputs = columns * tokens;
  const skipped = sparse ? inputs - active : 0;
  // Several tokens together need almost every column.
  const idle = tokens === 1 ? skipped : 0;
  kernels.add_counts(counters + ACTIVE_INPUTS * 8, active, skipped, idle, inputs);
}

/** What was counted since the model was loaded or the counters were cleared; undefined for models that leave nothing out. */
export function readFfnCounters(memory: Memory, plan: ModelPlan, threads: number): FfnLayersStats | undefined {
  const { buffers, layers } = plan;
  if (!buffers.ffnCounters) return undefined;
  const all = memory.f64(buffers.ffnCounters, (layers.length * threads * BYTES) / 8);
  const total = new Counts();
  const perLayer = layers.map((weights, layer) => {
    const counts = new Counts();
    for (let thread = 0; thread < threads; thread++) {
      const at = ((thread * layers.length + layer) * BYTES) / 8;
      counts.add(all.subarray(at, at + BYTES / 8), weights);
    }
    total.join(counts);
    return counts.stats;
  });
  return { ...total.stats, layers: perLayer };
}

/** Clears the counters. */
export function clearFfnCounters(memory: Memory, plan: ModelPlan, threads: number): void {
  const { buffers, layers } = plan;
  if (buffers.ffnCounters) memory.f64(buffers.ffnCounters, (layers.length * threads * BYTES) / 8).fill(0);
}

/** Sums over threads and layers. */
class Counts {
  gates = 0;
  zeroGates = 0;
  inputs = 0;
  zeroInputs = 0;
  macs = 0;
  skippedMacs = 0;
  skippedBytes = 0;

  /** The counters of one thread; what threads do not share out is booked by the first. */
  add(counters: Float64Array, { up, down }: LayerWeights): void {
    const at = (counter: number) => counters[counter] as number;
    const gates = at(TOKENS) * up.rows;
    const zeroGates = gates - at(ACTIVE_GATES);
    this.gates += gates;
    this.zeroGates += zeroGates;
    this.inputs += at(INPUTS);
    this.zeroInputs += at(INPUTS) - at(ACTIVE_INPUTS);
    this.macs += gates * up.columns + at(INPUTS) * down.rows;
    this.skippedMacs += (zeroGates - at(COMPUTED_ZEROS)) * up.columns + at(SKIPPED_INPUTS) * down.rows;
    this.skippedBytes += (at(IDLE_ROWS) * up.columns + at(IDLE_COLUMNS) * down.rows) / 4;
  }

  join(other: Counts): void {
    for (const key of ["gates", "zeroGates", "inputs", "zeroInputs", "macs", "skippedMacs", "skippedBytes"] as const)
      this[key] += other[key];
  }

  get stats(): FfnStats {
    const { gates, inputs, macs } = this;
    return {
      zeroGates: gates ? this.zeroGates / gates : 0,
      zeroInputs: inputs ? this.zeroInputs / inputs : 0,
      skippedMacs: this.skippedMacs,
      skippedShare: macs ? this.skippedMacs / macs : 0,
      skippedBytes: this.skippedBytes,
    };
  }
}
