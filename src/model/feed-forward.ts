import type { ModelConfig } from "../config.js";
import { Gated, type Kernels } from "../kernels/generated.js";
import { activationStride } from "../matmul/activations.js";
import { activeColumns, type ColumnLists, listColumns } from "../matmul/active-columns.js";
import { layoutOf } from "../matmul/layouts/index.js";
import { canBeLines, toLines } from "../matmul/lines.js";
import type { ProductOptions } from "../matmul/matmul.js";
import type { Weight } from "../matmul/weight.js";
import { share, type Thread } from "../threads/thread.js";
import { bookColumns, bookGates, bookInputs, bookTokens } from "./ffn-counters.js";
import type { FfnLayersStats, FfnStats } from "./ffn-stats.js";
import type { PassRows } from "./pass-rows.js";
import type { Buffers, LayerWeights, ModelPlan } from "./plan.js";

// Feed-forward networks with relu²: rows of `up` whose gate is not positive and columns of `down` whose input is zero are
// left out. That changes no bit: what is left out is exactly zero, and the sums are integers.

/** Share of zero gates from which a layer is faster with `up` by rows and `down` by columns. */
const SPARSE = 2 / 3;
/** Tokens after which that is looked at, and again whenever there are four times as many. */
export const FIRST_LOOK = 16;

/** Layers most of whose gates were zero and whose matrices are still in the layouts for dense inputs. */
export function sparseLayers(layers: readonly LayerWeights[], stats: FfnLayersStats): number[] {
  return layers.flatMap(({ up }, layer) =>
    // The last layer may have computed none yet.
    up.layout !== "ternary-rows" && ((stats.layers[layer] as FfnStats).zeroGates || stats.zeroGates) >= SPARSE
      ? [layer]
      : [],
  );
}

/** Temporary room to arrange a matrix in. */
export interface Room {
  address: number;
  bytes: number;
}

/** Room in which `down` of any of these layers can be arranged without blocks, whose columns would be short. */
export function arrangingBytes(layers: readonly LayerWeights[]): number {
  return Math.max(...layers.map(({ down }) => down.bytes)) + 4096;
}

/**
 * Brings matrices of these layers to the layouts for sparse inputs: one thread takes `up`, the other `down`. Every thread
 * must call it.
 * @param room of `arrangingBytes`; without it, that of the gates
 */
export function arrangeLayers(thread: Thread, plan: ModelPlan, layers: readonly number[], room?: Room): void {
  const { gate, up } = plan.buffers;
  const bytes = plan.batch * plan.config.ffn * 4;
  const columns = room ?? { address: up, bytes };
  const last = Math.min(thread.count - 1, 1);
  for (const layer of layers) {
    const weights = plan.layers[layer] as LayerWeights;
    // Both or neither, on every thread alike: each changes its own description, one of them the matrix.
    if (!canBeLines(weights.up, "rows", bytes) || !canBeLines(weights.down, "columns", columns.bytes)) continue;
    toLines(thread.index === 0 ? thread.kernels : undefined, weights.up, "rows", gate, bytes);
    toLines(
      thread.index === last ? thread.kernels : undefined,
      weights.down,
      "columns",
      columns.address,
      columns.bytes,
    );
  }
}

/** Filled anew for every layer: objects for each would be garbage. */
const gated: Gated = {
  gate: 0,
  weights: 0,
  activations: 0,
  scratch: 0,
  counters: 0,
  tokens: 0,
  rows: 0,
  columns: 0,
  scale: 0,
};
const activeProduct = { accumulate: false as boolean, scratch: 0, active: { offsets: 0, values: 0 } };

/**
 * gate = relu(gate)² · (x · upᵀ) for the rows whose gates this thread has computed; no barrier is needed in between.
 * @param input x as the products read it
 */
export function gateActiveRows(
  thread: Thread,
  { buffers }: ModelPlan,
  { gate, up }: LayerWeights,
  input: number,
  tokens: number,
  { scratch, counters }: { scratch: number; counters: number },
): void {
  const [start, end] = share(thread, up.rows, layoutOf(gate.layout).rowUnit);
  if (tokens === 0) return;
  if (thread.index === 0) bookTokens(thread, counters, tokens);
  if (start >= end) return;
  gated.gate = buffers.gate;
  gated.weights = up.address;
  gated.activations = input;
  gated.scratch = scratch;
  gated.counters = counters;
  gated.tokens = tokens;
  gated.rows = up.rows;
  gated.columns = up.columns;
  gated.scale = up.scale;
  Gated.write(thread.view(), thread.records, gated);
  thread.kernels.gated_ternary(thread.records, start, end);
}

/**
 * Share of active columns up to which columns are taken one by one for each token; beyond, all columns of a few rows are
 * unpacked for all tokens together. With the simd kernels that is less of a detour.
 */
function activeLimit({ kernels }: Thread): number {
  return kernels.relaxed_dots() ? 0.45 : 0.3;
}

/**
 * Options of a product; for a matrix by columns with lists of the active ones, unless so many are active that all are as
 * fast. Every thread decides alike, and either way has the same bits.
 */
export function activeOptions(
  thread: Thread,
  { buffers }: ModelPlan,
  weight: Weight,
  tokens: number,
  counters: number,
  options: ProductOptions,
): ProductOptions {
  if (weight.layout !== "ternary-columns") return options;
  activeProduct.accumulate = options.accumulate ?? false;
  activeProduct.scratch = options.scratch;
  activeProduct.active.offsets = buffers.gate;
  activeProduct.active.values = buffers.up;
  // One token's columns are always taken one by one.
  if (tokens === 1 && thread.index > 0) return activeProduct;
  const active = activeColumns(thread, weight, buffers.activations["int8-token"], tokens);
  const sparse = tokens === 1 || active <= activeLimit(thread) * weight.columns * tokens;
  if (thread.index === 0) bookColumns(thread, counters, weight, tokens, active, sparse);
  return sparse ? activeProduct : options;
}

/** Counts the gates that were computed with all of `up`, if they are counted: of this thread's rows, or as `applyOwnGate`. */
export function countGates(
  thread: Thread,
  { buffers, config: { ffn } }: ModelPlan,
  { gate }: LayerWeights,
  counters: number,
  { start, end, lone }: PassRows,
): void {
  if (!buffers.ffnCounters || start === end) return;
  if (!lone || thread.index === 0) bookTokens(thread, counters, end - start);
  const [from, to] = lone ? share(thread, ffn, layoutOf(gate.layout).rowUnit) : [start * ffn, end * ffn];
  bookGates(thread, counters, to - from, thread.kernels.count_gates(buffers.gate + from * 4, to - from));
}

/** Lists the active columns of the quantised rows `start … end − 1` of the input of `down`, or counts them. */
export function readyColumns(
  thread: Thread,
  { buffers }: ModelPlan,
  weight: Weight,
  counters: number,
  [start, end]: readonly [start: number, end: number],
): void {
  if (start === end) return;
  const records = buffers.activations["int8-token"];
  if (weight.layout === "ternary-columns") {
    listColumns(thread, weight, records, columnLists(buffers), [start, end]);
    return;
  }
  if (layoutOf(weight.layout).activations !== "int8-token") return;
  const { columns } = weight;
  const first = records + start * activationStride("int8-token", columns);
  bookInputs(thread, counters, (end - start) * columns, thread.kernels.count_codes(first, end - start, columns));
}

/** Gates and gated values are free once the input of `down` is quantised. */
function columnLists({ gate, up }: Buffers): ColumnLists {
  return { offsets: gate, values: up };
}

/** gate = activation(gate) · up, for the rows `start … end − 1`. */
export function applyGate(
  { kernels }: Thread,
  { config, buffers }: ModelPlan,
  [start, end]: readonly [start: number, end: number],
): void {
  const kernel = gateKernel(kernels, config.activation);
  for (let token = start; token < end; token++) {
    const at = token * config.ffn * 4;
    kernel(buffers.gate + at, buffers.gate + at, buffers.up + at, config.ffn);
  }
}

/**
 * The same for a lone row, on the columns this thread has just computed of both, see `sharedAlike`.
 */
export function applyOwnGate(thread: Thread, { config, buffers }: ModelPlan, { gate }: LayerWeights): void {
  const [start, end] = share(thread, config.ffn, layoutOf(gate.layout).rowUnit);
  const kernel = gateKernel(thread.kernels, config.activation);
  if (start < end) kernel(buffers.gate + start * 4, buffers.gate + start * 4, buffers.up + start * 4, end - start);
}

function gateKernel(kernels: Kernels, activation: ModelConfig["activation"]): Kernels["silu_gate"] {
  switch (activation) {
    case "relu2":
      return kernels.relu2_gate;
    case "silu":
      return kernels.silu_gate;
    case "gelu-tanh":
      return kernels.gelu_gate;
  }
}
