import { attend } from "../attention/attend.js";
import { spreadOutliers } from "../attention/hadamard.js";
import { applyRope } from "../attention/rope.js";
import { attentionWork, threadBytes } from "../attention/scratch.js";
import { turns, windowOf } from "../config.js";
import type { CacheDescriptor } from "../kv/descriptor.js";
import { storeKeysValues } from "../kv/store.js";
import { embedRows, matmul } from "../matmul/matmul.js";
import type { Weight } from "../matmul/weight.js";
import { share, solo, type Thread } from "../threads/thread.js";
import { activeOptions, applyGate, countGates, gateActiveRows, readyColumns } from "./feed-forward.js";
import { ffnCountersOf } from "./ffn-counters.js";
import { multiplyHead, wantedRanges } from "./head.js";
import { inputOf, type Output, quantiseInputs } from "./inputs.js";
import type { LayerWeights, ModelPlan } from "./plan.js";
import type { Profile } from "./profile.js";
import { rowsOf, type Slice, wantedRows } from "./slice.js";
import { type SliceShares, shareSlices } from "./slice-shares.js";

/** A slice and where its rows begin in the pass. */
type PlacedSlice = Slice<CacheDescriptor> & { row: number };

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
  readonly #slices: readonly PlacedSlice[];
  readonly #shares: SliceShares<PlacedSlice>;
  readonly #rows: number;
  readonly #start: number;
  readonly #end: number;
  readonly #span: readonly [start: number, end: number];
  /** Options of products whose results are set, and of those that are added. */
  readonly #setting: { accumulate: boolean; scratch: number };
  readonly #adding: { accumulate: boolean; scratch: number };
  /** This thread where it attends on its own. */
  readonly #own: Thread;
  readonly #profile: Profile | undefined;
  #counters = 0;

  /** @param profile where the time of each operation is booked, on one thread only */
  constructor(
    thread: Thread,
    plan: ModelPlan,
    slices: readonly Slice<CacheDescriptor>[],
    profile?: Profile,
    rows = rowsOf(slices),
  ) {
    let row = 0;
    this.#slices = slices.map((slice) => {
      const placed = { ...slice, row };
      row += slice.tokens;
      return placed;
    });
    this.#profile = profile;
    this.#thread = thread;
    this.#plan = plan;
    this.#rows = rows;
    this.#shares = shareSlices(thread.index, thread.count, this.#slices);
    this.#own = this.#shares.alone.length > 0 ? solo(thread) : thread;
    [this.#start, this.#end] = share(thread, this.#rows);
    this.#span = [this.#start, this.#end];
    const scratch = plan.buffers.scratch + thread.index * plan.buffers.scratchBytes;
    this.#setting = { accumulate: false, scratch };
    this.#adding = { accumulate: true, scratch };
  }

  get buffers() {
    return this.#plan.buffers;
  }

  /** What follows is of this layer. */
  set layer(layer: number) {
    this.#counters = ffnCountersOf(this.#thread, this.#plan, layer);
  }

  /** hidden = rows of the embedding for the ids in the id buffer, times the factor of the embedding. By row. */
  embed(): void {
    const { buffers, config, embedding } = this.#plan;
    embedRows(this.#thread, buffers.hidden, embedding, buffers.ids, this.#start, this.#end);
    if (config.embeddingScale !== undefined) this.#scale(buffers.hidden, config.hidden, config.embeddingScale);
    this.#profile?.mark("embedding");
  }

  /** out = x / √(mean(x²) + eps) · weight, for each row; `size` numbers per row in both. By row. */
  norm(out: number, x: number, weight: number, size: number): void {
    const { kernels } = this.#thread;
    const eps = this.#plan.config.rmsNormEps;
    for (let token = this.#start; token < this.#end; token++)
      kernels.rms_norm(out + token * size * 4, x + token * size * 4, weight, size, eps);
    this.#profile?.mark("norms");
  }

  /** x = x / √(mean(x²) + eps) · weight of each head, in place; nothing when `weight` is 0. By row. */
  headNorm(x: number, weight: number, heads: number): void {
    if (!weight) return;
    const { headDim, rmsNormEps } = this.#plan.config;
    const rows = (this.#end - this.#start) * heads;
    this.#thread.kernels.rms_norm_rows(x + this.#start * heads * headDim * 4, weight, rows, headDim, rmsNormEps);
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
    this.#quantise(x, outputs);
    const options = accumulate ? this.#adding : this.#setting;
    for (let i = 0; i < outputs.length; i++) {
      const { 0: out, 1: weight } = outputs[i] as Output;
      const own = activeOptions(thread, this.#plan, weight, this.#rows, this.#counters, options);
      matmul(thread, out, weight, inputOf(weight, x, this.buffers), this.#rows, own);
    }
    thread.barrier();
    for (let i = 0; i < outputs.length; i++) {
      const [out, { rows }, bias] = outputs[i] as Output;
      if (bias) thread.kernels.add_bias(out + this.#start * rows * 4, bias, this.#end - this.#start, rows);
    }
    this.#profile?.mark(name);
  }

  /** Quantises x as the weights want it. Ends with a barrier. */
  #quantise(x: number, outputs: readonly Output[]): void {
    quantiseInputs(this.#thread, this.buffers, x, outputs, this.#span);
    if (x === this.buffers.gate && this.buffers.ffnCounters)
      readyColumns(this.#thread, this.#plan, (outputs[0] as Output)[1], this.#counters, this.#span);
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
    const at = this.#start * config.hidden * 4;
    const count = (this.#end - this.#start) * config.hidden;
    this.#thread.kernels.add_scaled(buffers.hidden + at, buffers.normed + at, count, scale);
    this.#profile?.mark(name);
  }

  /** Turns queries and keys by their positions, where this layer does, and makes them ready for the cache. By row. */
  rope(layer: number): void {
    const { config, buffers, rope } = this.#plan;
    const { heads, kvHeads, headDim } = config;
    const thread = this.#thread;
    const table = windowOf(config, layer) === undefined ? rope.table : rope.windowTable;
    // Attention divides by √headDim.
    const scale = config.attentionScale === undefined ? 1 : config.attentionScale * Math.sqrt(headDim);
    if (Math.fround(scale) !== 1) this.#scale(buffers.queries, heads * headDim, scale);
    for (const { cache, position, row, tokens } of this.#slices) {
      const [start, end] = [Math.max(this.#start - row, 0), Math.min(this.#end - row, tokens)];
      if (start >= end) continue;
      const queries = buffers.queries + row * heads * headDim * 4;
      const keys = buffers.keys + row * kvHeads * headDim * 4;
      if (turns(config, layer)) {
        this.#turn(table, queries, heads, position, start, end);
        this.#turn(table, keys, kvHeads, position, start, end);
      }
      spreadOutliers(thread, cache, queries, keys, start, end);
    }
    thread.barrier();
    this.#profile?.mark("RoPE");
  }

  #turn(table: number, x: number, heads: number, position: number, start: number, end: number): void {
    const { headDim, ropeDim = headDim } = this.#plan.config;
    if (ropeDim === headDim) {
      applyRope(this.#thread, table, { x, heads, headDim, position }, start, end);
      return;
    }
    const from = x + start * heads * headDim * 4;
    const row = table + (position + start) * ropeDim * 4;
    this.#thread.kernels.rope_rotate_part(from, row, end - start, heads, headDim, ropeDim);
  }

  /** x ·= factor, `size` numbers per row. By row. */
  #scale(x: number, size: number, factor: number): void {
    this.#thread.kernels.scale_f32(x + this.#start * size * 4, (this.#end - this.#start) * size, factor);
  }

  /** attended = softmax(q·kᵀ / √headDim + causal mask) · v over the cache of `layer`, the new keys and values included. */
  attention(layer: number): void {
    const thread = this.#thread;
    const { together, alone } = this.#shares;
    for (const slice of together) this.#store(thread, layer, slice);
    for (const slice of alone) this.#store(this.#own, layer, slice);
    thread.barrier();
    this.#profile?.mark("store keys and values");
    let first = true;
    for (const slice of together) {
      // They use the same scratch.
      if (!first) thread.barrier();
      first = false;
      this.#attend(thread, layer, slice);
    }
    for (const slice of alone) this.#attend(this.#own, layer, slice);
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
      countGates(this.#thread, this.#plan, this.#counters, this.#span);
      this.gate();
      return;
    }
    this.#quantise(x, [gate]);
    const input = inputOf(w.gate, x, this.buffers);
    matmul(this.#thread, gate[0], w.gate, input, this.#rows, this.#setting);
    const { scratch } = this.#setting;
    gateActiveRows(this.#thread, this.#plan, w, input, this.#rows, { scratch, counters: this.#counters });
    this.#thread.barrier();
    this.#profile?.mark("gate, up");
  }

  /** gate = activation(gate) · up, on the rows this thread has just computed of both. */
  gate(): void {
    applyGate(this.#thread, this.#plan, this.#span);
    this.#profile?.mark("gate");
  }

  /** logits = rms(hidden) · headᵀ of the rows the slices want them of. `out` is `[wanted rows, vocab]`. */
  logits(out: number): void {
    const { buffers, head } = this.#plan;
    const ranges = wantedRanges(this.#slices);
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
    const rows = wantedRows(this.#slices);
    if (rows.length === 0) return undefined;
    // The last layer may have ended by row, and the rows are now shared out anew.
    this.#thread.barrier();
    const wanted = new ForwardPass(this.#thread, this.#plan, [], this.#profile, rows.length);
    const bytes = config.hidden * 4;
    for (let i = wanted.#start; i < wanted.#end; i++) {
      const from = buffers.hidden + (rows[i] as number) * bytes;
      this.#thread.kernels.rms_norm(out + i * bytes, from, outputNorm, config.hidden, config.rmsNormEps);
    }
    this.#profile?.mark("norms");
    return wanted;
  }
}
