import { attend } from "../attention/attend.js";
import { attentionWork, threadBytes } from "../attention/scratch.js";
import type { CacheDescriptor } from "../kv/descriptor.js";
import { storeKeysValues } from "../kv/store.js";
import { embedRows, matmul } from "../matmul/matmul.js";
import type { Weight } from "../matmul/weight.js";
import type { Thread } from "../threads/thread.js";
import { activeOptions, applyGate, countGates, gateActiveRows, readyColumns } from "./feed-forward.js";
import { ffnCountersOf } from "./ffn-counters.js";
import { multiplyHead, wantedRanges } from "./head.js";
import { inputOf, type Output, quantiseInputs } from "./inputs.js";
import { moveRows, type PassRows, type PlacedSlice, placeRows, wantedAlone } from "./pass-rows.js";
import type { LayerWeights, ModelPlan } from "./plan.js";
import type { Profile } from "./profile.js";
import { type Slice, wantedRows } from "./slice.js";
import { turnRows } from "./turn-rows.js";

/**
 * The operations of one forward pass over n tokens, as one thread sees them: n rows, made of slices of one or more
 * sequences. Every thread calls the same methods in the same order. Norms, RoPE and quantisation are shared out by row,
 * matrix products by output row over all rows together, attention slice by slice. What a row becomes never depends on
 * the other sequences' rows. A method whose result other threads need ends with a barrier; the others do not, so that
 * steps on the same rows follow each other freely.
 */
export class ForwardPass {
  readonly #thread: Thread;
  readonly #plan: ModelPlan;
  /** All of them, of which keys and values are stored. */
  readonly #stored: PassRows;
  /** Those of everything else: all, or in the last layer those that are wanted. */
  #rows: PassRows;
  /** Options of products whose results are set, and of those that are added. */
  readonly #setting: { accumulate: boolean; scratch: number };
  readonly #adding: { accumulate: boolean; scratch: number };
  readonly #profile: Profile | undefined;
  #counters = 0;
  #last = false;

  /** @param profile where the time of each operation is booked, on one thread only */
  constructor(
    thread: Thread,
    plan: ModelPlan,
    slices: readonly Slice<CacheDescriptor>[],
    profile?: Profile,
    rows?: number,
  ) {
    this.#profile = profile;
    this.#thread = thread;
    this.#plan = plan;
    this.#stored = placeRows(thread, slices, rows);
    this.#rows = this.#stored;
    const scratch = plan.buffers.scratch + thread.index * plan.buffers.scratchBytes;
    this.#setting = { accumulate: false, scratch };
    this.#adding = { accumulate: true, scratch };
  }

  get buffers() {
    return this.#plan.buffers;
  }

  /** What follows is of this layer. */
  set layer(layer: number) {
    this.#last = layer === this.#plan.layers.length - 1;
    this.#counters = ffnCountersOf(this.#thread, this.#plan, layer);
  }

  /** hidden = rows of the embedding for the ids in the id buffer, times the factor of the embedding. By row. */
  embed(): void {
    const { buffers, config, embedding } = this.#plan;
    const { start, end } = this.#rows;
    embedRows(this.#thread, buffers.hidden, embedding, buffers.ids, start, end);
    if (config.embeddingScale !== undefined) this.#scale(buffers.hidden, config.hidden, config.embeddingScale);
    this.#profile?.mark("embedding");
  }

  /** out = x / √(mean(x²) + eps) · weight, for each row; `size` numbers per row in both. By row. */
  norm(out: number, x: number, weight: number, size: number): void {
    const { kernels } = this.#thread;
    const eps = this.#plan.config.rmsNormEps;
    const { start, end } = this.#rows;
    for (let token = start; token < end; token++)
      kernels.rms_norm(out + token * size * 4, x + token * size * 4, weight, size, eps);
    this.#profile?.mark("norms");
  }

  /** x = x / √(mean(x²) + eps) · weight of each head, in place; nothing when `weight` is 0. By row. */
  headNorm(x: number, weight: number, heads: number): void {
    if (!weight) return;
    const { headDim, rmsNormEps } = this.#plan.config;
    const { start, end } = x === this.buffers.keys ? this.#stored : this.#rows;
    const rows = (end - start) * heads;
    this.#thread.kernels.rms_norm_rows(x + start * heads * headDim * 4, weight, rows, headDim, rmsNormEps);
    this.#profile?.mark("norms");
  }

  /**
   * out = x · weightᵀ + bias for each output, or out += …; x has been written by row (by `norm` or `embed`).
   * The input is quantised once for all the weights that want it alike. The products end with a barrier, biases are added
   * by row.
   * @param name of the product, for the profile
   * @param outputs `bias` is an address, 0 or absent for none
   */
  linear(name: string, x: number, outputs: readonly Output[], accumulate = false): void {
    const thread = this.#thread;
    const { start, end, count } = this.#rows;
    this.#quantise(x, outputs);
    const options = accumulate ? this.#adding : this.#setting;
    for (let i = 0; i < outputs.length; i++) {
      const { 0: out, 1: weight } = outputs[i] as Output;
      const own = activeOptions(thread, this.#plan, weight, count, this.#counters, options);
      matmul(thread, out, weight, inputOf(weight, x, this.buffers), count, own);
    }
    thread.barrier();
    for (let i = 0; i < outputs.length; i++) {
      const [out, { rows }, bias] = outputs[i] as Output;
      if (bias) thread.kernels.add_bias(out + start * rows * 4, bias, end - start, rows);
    }
    this.#profile?.mark(name);
  }

  /**
   * Queries, keys and values: products of x with the weights, and biases. What follows in the last layer, queries
   * included, is of the wanted rows alone.
   */
  queryKeyValue(x: number, w: LayerWeights): void {
    const { queries, keys, values } = this.buffers;
    const { hidden } = this.#plan.config;
    const name = "query, key, value";
    const query: Output = [queries, w.query, w.queryBias];
    const others: Output[] = [
      [keys, w.key, w.keyBias],
      [values, w.value, w.valueBias],
    ];
    const wanted = this.#last ? wantedAlone(this.#stored.slices) : undefined;
    if (!wanted) {
      this.linear(name, x, [query, ...others]);
      return;
    }
    this.linear(name, x, others);
    const from = wantedRows(this.#stored.slices);
    this.#rows = placeRows(this.#thread, wanted);
    moveRows(this.#thread, this.buffers.hidden, from, hidden);
    moveRows(this.#thread, x, from, hidden);
    this.#thread.barrier();
    this.linear(name, x, [query]);
  }

  /** Quantises x as the weights want it. Ends with a barrier. */
  #quantise(x: number, outputs: readonly Output[]): void {
    quantiseInputs(this.#thread, this.buffers, x, outputs, this.#rows.span);
    if (x === this.buffers.gate && this.buffers.ffnCounters)
      readyColumns(this.#thread, this.#plan, (outputs[0] as Output)[1], this.#counters, this.#rows.span);
    this.#thread.barrier();
    this.#profile?.mark("quantise activations");
  }

  /**
   * hidden += s · norm(x · weightᵀ + bias): what a half of a layer adds to the residual stream, s being the factor of the
   * residual. Ends by row.
   * @param norm weight of a norm in between; 0 for none
   */
  residual(name: string, x: number, weight: Weight, bias = 0, norm = 0): void {
    const { buffers, config } = this.#plan;
    const scale = config.residualScale ?? 1;
    if (!norm && scale === 1) {
      this.linear(name, x, [[buffers.hidden, weight, bias]], true);
      return;
    }
    this.linear(name, x, [[buffers.normed, weight, bias]]);
    if (norm) this.norm(buffers.normed, buffers.normed, norm, config.hidden);
    const { start, end } = this.#rows;
    const at = start * config.hidden * 4;
    const count = (end - start) * config.hidden;
    this.#thread.kernels.add_scaled(buffers.hidden + at, buffers.normed + at, count, scale);
    this.#profile?.mark(name);
  }

  /** Turns queries and keys by their positions, where this layer does, and makes them ready for the cache. By row. */
  rope(layer: number): void {
    const { config, buffers } = this.#plan;
    const { heads, headDim } = config;
    // Attention divides by √headDim.
    const scale = config.attentionScale === undefined ? 1 : config.attentionScale * Math.sqrt(headDim);
    if (Math.fround(scale) !== 1) this.#scale(buffers.queries, heads * headDim, scale);
    turnRows(this.#thread, this.#plan, layer, "queries", this.#rows);
    turnRows(this.#thread, this.#plan, layer, "keys", this.#stored);
    this.#thread.barrier();
    this.#profile?.mark("RoPE");
  }

  /** x ·= factor, `size` numbers per row. By row. */
  #scale(x: number, size: number, factor: number): void {
    const { start, end } = this.#rows;
    this.#thread.kernels.scale_f32(x + start * size * 4, (end - start) * size, factor);
  }

  /** attended = softmax(q·kᵀ / √headDim + causal mask) · v over the cache of `layer`, the new keys and values included. */
  attention(layer: number): void {
    const thread = this.#thread;
    const stored = this.#stored;
    for (const slice of stored.shares.together) this.#store(thread, layer, slice);
    for (const slice of stored.shares.alone) this.#store(stored.own, layer, slice);
    thread.barrier();
    this.#profile?.mark("store keys and values");
    const { shares, own } = this.#rows;
    let first = true;
    for (const slice of shares.together) {
      // They use the same scratch.
      if (!first) thread.barrier();
      first = false;
      this.#attend(thread, layer, slice);
    }
    for (const slice of shares.alone) this.#attend(own, layer, slice);
    thread.barrier();
    this.#profile?.mark("attention");
  }

  #store(thread: Thread, layer: number, slice: PlacedSlice): void {
    const { buffers, config } = this.#plan;
    const at = slice.row * config.kvHeads * config.headDim * 4;
    const [keys, values] = [buffers.keys + at, buffers.values + at];
    const work = attentionWork(this.#attentionScratch(thread), thread, config.headDim);
    storeKeysValues(thread, slice, layer, keys, values, work);
  }

  #attend(thread: Thread, layer: number, slice: PlacedSlice): void {
    const { buffers, config } = this.#plan;
    const at = slice.row * config.heads * config.headDim * 4;
    const [out, queries] = [buffers.attended + at, buffers.queries + at];
    attend(thread, slice, layer, out, queries, this.#attentionScratch(thread));
  }

  /** Scratch of all threads together, or that of this one when it works alone. */
  #attentionScratch(thread: Thread): number {
    const { buffers, config } = this.#plan;
    return buffers.attentionScratch + (this.#thread.index - thread.index) * threadBytes(config.headDim);
  }

  /** gate = activation(x · gateᵀ) · (x · upᵀ), what zero gates make zero left out where that is most. Ends by row. */
  gated(x: number, w: LayerWeights): void {
    const gate: Output = [this.buffers.gate, w.gate];
    if (w.up.layout !== "ternary-rows") {
      this.linear("gate, up", x, [gate, [this.buffers.up, w.up]]);
      countGates(this.#thread, this.#plan, this.#counters, this.#rows.span);
      this.gate();
      return;
    }
    this.#quantise(x, [gate]);
    const input = inputOf(w.gate, x, this.buffers);
    matmul(this.#thread, gate[0], w.gate, input, this.#rows.count, this.#setting);
    const { scratch } = this.#setting;
    gateActiveRows(this.#thread, this.#plan, w, input, this.#rows.count, { scratch, counters: this.#counters });
    this.#thread.barrier();
    this.#profile?.mark("gate, up");
  }

  /** gate = activation(gate) · up, on the rows this thread has just computed of both. */
  gate(): void {
    applyGate(this.#thread, this.#plan, this.#rows.span);
    this.#profile?.mark("gate");
  }

  /** logits = rms(hidden) · headᵀ of the rows the slices want them of. `out` is `[wanted rows, vocab]`. */
  logits(out: number): void {
    const { buffers, head } = this.#plan;
    const ranges = wantedRanges(this.#rows.slices);
    if (ranges.every((some) => some?.length === 0)) return;
    const wanted = this.lastHidden(buffers.normed) as ForwardPass;
    wanted.#quantise(buffers.normed, [[out, head]]);
    const input = inputOf(head, buffers.normed, buffers);
    multiplyHead(this.#thread, this.#plan, out, input, ranges, this.#setting.scratch);
    this.#thread.barrier();
    this.#profile?.mark("head");
  }

  /**
   * out = rms(hidden) of the rows the slices want, `[wanted rows, hidden]`. By wanted row.
   * @returns a pass over these rows; undefined when there are none
   */
  lastHidden(out: number): ForwardPass | undefined {
    const { config, buffers, outputNorm } = this.#plan;
    const rows = wantedRows(this.#rows.slices);
    if (rows.length === 0) return undefined;
    // The last layer may have ended by row, and the rows are now shared out anew.
    this.#thread.barrier();
    const wanted = new ForwardPass(this.#thread, this.#plan, [], this.#profile, rows.length);
    const bytes = config.hidden * 4;
    for (let i = wanted.#rows.start; i < wanted.#rows.end; i++) {
      const from = buffers.hidden + (rows[i] as number) * bytes;
      this.#thread.kernels.rms_norm(out + i * bytes, from, outputNorm, config.hidden, config.rmsNormEps);
    }
    this.#profile?.mark("norms");
    return wanted;
  }
}
