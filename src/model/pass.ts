import type { CacheDescriptor } from "../kv/descriptor.js";
import { embedRows, matmul, sharedAlike } from "../matmul/matmul.js";
import type { Weight } from "../matmul/weight.js";
import type { Thread } from "../threads/thread.js";
import { attendRows, attendsWithOwn, storeRows } from "./attend-rows.js";
import { activeOptions, applyGate, applyOwnGate, countGates, gateActiveRows, readyColumns } from "./feed-forward.js";
import { ffnCountersOf } from "./ffn-counters.js";
import { multiplyHead, wantedRanges } from "./head.js";
import { addBias, inputOf, type Output, quantiseInputs } from "./inputs.js";
import { ownBuffers } from "./own-buffers.js";
import { PassBarrier } from "./pass-barrier.js";
import { moveRows, type PassRows, placeRows, wantedAlone } from "./pass-rows.js";
import type { Buffers, LayerWeights, ModelPlan } from "./plan.js";
import type { Profile } from "./profile.js";
import { type Slice, wantedRows } from "./slice.js";
import { ownHeads, turnRows } from "./turn-rows.js";

/**
 * The operations of one forward pass over n tokens, as one thread sees them: n rows, made of slices of one or more
 * sequences. Every thread calls the same methods in the same order. Norms, RoPE and quantisation are shared out by row,
 * matrix products by output row over all rows together, attention slice by slice. What a row becomes never depends on
 * the other sequences' rows. A method whose result other threads need ends with a barrier; the others do not, so that
 * steps on the same rows follow each other freely. Of a lone row (see `PassRows.lone`) that barrier is put off until a
 * method reads what others have written: what follows on a thread's own heads or columns goes on at once.
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
  readonly #buffers: Buffers;
  readonly #barrier: PassBarrier;
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
    this.#stored = placeRows(thread, slices, rows, plan.batch);
    this.#rows = this.#stored;
    const scratch = plan.buffers.scratch + thread.index * plan.buffers.scratchBytes;
    this.#setting = { accumulate: false, scratch };
    this.#adding = { accumulate: true, scratch };
    this.#barrier = new PassBarrier(thread, this.#rows.lone, profile);
    this.#buffers = this.#rows.lone ? ownBuffers(plan, thread.index) : plan.buffers;
  }

  get buffers(): Buffers {
    return this.#buffers;
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
    if (!this.#barrier.mine("embedding")) return;
    embedRows(this.#thread, buffers.hidden, embedding, buffers.ids, start, end);
    if (config.embeddingScale !== undefined) this.#scale(buffers.hidden, config.hidden, config.embeddingScale);
    this.#profile?.mark("embedding");
  }

  /** out = x / √(mean(x²) + eps) · weight, for each row; `size` numbers per row in both. By row. */
  norm(out: number, x: number, weight: number, size: number): void {
    const { kernels } = this.#thread;
    const eps = this.#plan.config.rmsNormEps;
    const { start, end } = this.#rows;
    this.#barrier.wait();
    if (out === x && !this.#barrier.mine("norms")) return;
    for (let token = start; token < end; token++)
      kernels.rms_norm(out + token * size * 4, x + token * size * 4, weight, size, eps);
    this.#profile?.mark("norms");
  }

  /** x = x / √(mean(x²) + eps) · weight of each head, in place; nothing when `weight` is 0. By row. */
  headNorm(x: number, weight: number, heads: number): void {
    if (!weight) return;
    const { headDim, rmsNormEps } = this.#plan.config;
    this.#barrier.wait();
    const kind = x === this.buffers.keys ? "keys" : "queries";
    const { start, end, lone } = kind === "keys" ? this.#stored : this.#rows;
    const [first, count] = lone ? ownHeads(this.#thread, this.#plan, kind) : [0, heads];
    const at = x + (start * heads + first) * headDim * 4;
    this.#thread.kernels.rms_norm_rows(at, weight, (end - start) * count, headDim, rmsNormEps);
    this.#profile?.mark("norms");
  }

  /**
   * out = x · weightᵀ + bias for each output, or out += …; x has been written by row (by `norm` or `embed`).
   * The input is quantised once for all the weights that want it alike. The products end with a barrier, biases are added
   * by row; of a lone row, every thread adds them to what it has computed.
   * @param name of the product, for the profile
   * @param outputs `bias` is an address, 0 or absent for none
   */
  linear(name: string, x: number, outputs: readonly Output[], accumulate = false): void {
    const thread = this.#thread;
    const { span, count, lone } = this.#rows;
    const inputs = this.#quantise(x, outputs);
    const options = accumulate ? this.#adding : this.#setting;
    for (let i = 0; i < outputs.length; i++) {
      const { 0: out, 1: weight } = outputs[i] as Output;
      const own = activeOptions(thread, this.#plan, weight, count, this.#counters, options);
      matmul(thread, out, weight, inputOf(weight, x, inputs), count, own);
    }
    this.#barrier.end(name);
    for (let i = 0; i < outputs.length; i++) addBias(thread, outputs[i] as Output, span, lone);
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
    const key: Output = [keys, w.key, w.keyBias];
    const value: Output = [values, w.value, w.valueBias];
    const wanted = this.#last ? wantedAlone(this.#stored.slices) : undefined;
    if (!wanted) {
      this.linear(name, x, [query, key, value]);
      return;
    }
    this.linear(name, x, [key, value]);
    const from = wantedRows(this.#stored.slices);
    this.#barrier.wait();
    this.#rows = placeRows(this.#thread, wanted);
    this.#barrier.lone = false;
    moveRows(this.#thread, this.buffers.hidden, from, hidden);
    moveRows(this.#thread, x, from, hidden);
    this.#thread.barrier();
    this.linear(name, x, [query]);
  }

  /** Quantises x as the weights want it. Returns the buffers in which this thread finds it. Ends with a barrier. */
  #quantise(x: number, outputs: readonly Output[]): Buffers {
    const { span, lone } = this.#rows;
    const name = "quantise activations";
    const shared = this.#plan.buffers;
    const counts = x === shared.gate && shared.ffnCounters !== 0;
    // The room of the gates becomes that of the lists of columns, which are for all threads.
    const buffers = counts ? shared : this.buffers;
    if (!counts) this.#barrier.wait();
    if (!counts || this.#barrier.mine(name)) {
      quantiseInputs(this.#thread, buffers, x, outputs, span);
      if (counts) readyColumns(this.#thread, this.#plan, (outputs[0] as Output)[1], this.#counters, span);
    }
    if (!lone) this.#thread.barrier();
    else if (counts) this.#barrier.wait();
    this.#profile?.mark(name);
    return buffers;
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
    if (!this.#barrier.mine(name)) return;
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
    this.#barrier.wait();
    // Attention divides by √headDim.
    const scale = config.attentionScale === undefined ? 1 : config.attentionScale * Math.sqrt(headDim);
    if (Math.fround(scale) !== 1) {
      const [first, count] = this.#rows.lone ? ownHeads(this.#thread, this.#plan, "queries") : [0, heads];
      this.#scale(buffers.queries + first * headDim * 4, count * headDim, scale);
    }
    turnRows(this.#thread, this.#plan, layer, "queries", this.#rows);
    turnRows(this.#thread, this.#plan, layer, "keys", this.#stored);
    if (!this.#stored.lone && !this.#byRow) this.#thread.barrier();
    this.#profile?.mark("RoPE");
  }

  /** Whether queries, keys, values and what comes of them are by row up to the next product. */
  get #byRow(): boolean {
    return this.#rows === this.#stored && this.#rows.shares.byRow;
  }

  /** x ·= factor, `size` numbers per row. By row. */
  #scale(x: number, size: number, factor: number): void {
    const { start, end } = this.#rows;
    this.#thread.kernels.scale_f32(x + start * size * 4, (end - start) * size, factor);
  }

  /** attended = softmax(q·kᵀ / √headDim + causal mask) · v over the cache of `layer`, the new keys and values included. */
  attention(layer: number): void {
    const thread = this.#thread;
    storeRows(thread, this.#plan, layer, this.#stored);
    if (!this.#byRow && !attendsWithOwn(thread, layer, this.#rows)) thread.barrier();
    this.#profile?.mark("store keys and values");
    attendRows(thread, this.#plan, layer, this.#rows);
    if (this.#byRow) this.#profile?.mark("attention");
    else this.#barrier.end("attention");
  }

  /** gate = activation(x · gateᵀ) · (x · upᵀ), what zero gates make zero left out where that is most. Ends by row. */
  gated(x: number, w: LayerWeights): void {
    const gate: Output = [this.buffers.gate, w.gate];
    if (w.up.layout !== "ternary-rows") {
      this.linear("gate, up", x, [gate, [this.buffers.up, w.up]]);
      countGates(this.#thread, this.#plan, w, this.#counters, this.#rows);
      this.gate(w);
      return;
    }
    const input = inputOf(w.gate, x, this.#quantise(x, [gate]));
    matmul(this.#thread, gate[0], w.gate, input, this.#rows.count, this.#setting);
    const { scratch } = this.#setting;
    gateActiveRows(this.#thread, this.#plan, w, input, this.#rows.count, { scratch, counters: this.#counters });
    this.#barrier.end("gate, up");
  }

  /** gate = activation(gate) · up. By row; of a lone row, on the columns this thread has just computed of both. */
  gate(w: LayerWeights): void {
    if (this.#rows.lone && sharedAlike(w.gate, w.up)) applyOwnGate(this.#thread, this.#plan, w);
    else if (this.#barrier.mine("gate")) applyGate(this.#thread, this.#plan, this.#rows.span);
    this.#profile?.mark("gate");
  }

  /** logits = rms(hidden) · headᵀ of the rows the slices want them of. `out` is `[wanted rows, vocab]`. */
  logits(out: number): void {
    const { head } = this.#plan;
    const ranges = wantedRanges(this.#rows.slices);
    if (!ranges) return;
    const wanted = this.lastHidden() as ForwardPass;
    const { normed } = wanted.buffers;
    const input = inputOf(head, normed, wanted.#quantise(normed, [[out, head]]));
    multiplyHead(this.#thread, this.#plan, out, input, ranges, this.#setting.scratch);
    this.#profile?.mark("head");
  }

  /**
   * out = rms(hidden) of the rows the slices want, `[wanted rows, hidden]`. By wanted row.
   * @param out default: where the returned pass has normed rows
   * @returns a pass over these rows; undefined when there are none
   */
  lastHidden(out?: number): ForwardPass | undefined {
    const { config, buffers, outputNorm } = this.#plan;
    const rows = wantedRows(this.#rows.slices);
    if (rows.length === 0) return undefined;
    // The last layer may have ended by row, and the rows are now shared out anew.
    if (this.#rows.lone) this.#barrier.wait();
    else this.#thread.barrier();
    const all = rows.length === this.#rows.count;
    const wanted = all ? this : new ForwardPass(this.#thread, this.#plan, [], this.#profile, rows.length);
    const bytes = config.hidden * 4;
    const to = out ?? wanted.buffers.normed;
    if (out !== undefined && !wanted.#barrier.mine("norms")) return wanted;
    for (let i = wanted.#rows.start; i < wanted.#rows.end; i++) {
      const from = buffers.hidden + (rows[i] as number) * bytes;
      this.#thread.kernels.rms_norm(to + i * bytes, from, outputNorm, config.hidden, config.rmsNormEps);
    }
    this.#profile?.mark("norms");
    return wanted;
  }
}
