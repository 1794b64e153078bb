import { attend } from "../attention/attend.js";
import { spreadOutliers } from "../attention/hadamard.js";
import { applyRope } from "../attention/rope.js";
import { attentionWork, threadBytes } from "../attention/scratch.js";
import type { CacheDescriptor } from "../kv/descriptor.js";
import { storeKeysValues } from "../kv/store.js";
import { type ActivationKind, activationKind, quantiseActivations } from "../matmul/activations.js";
import { embedRows, matmul } from "../matmul/matmul.js";
import type { Weight } from "../matmul/weight.js";
import type { Thread } from "../threads/thread.js";
import { share } from "../threads/thread.js";
import type { ModelPlan } from "./plan.js";
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
  readonly #scratch: number;
  readonly #profile: Profile | undefined;

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
    [this.#start, this.#end] = share(thread, this.#rows);
    this.#scratch = plan.buffers.scratch + thread.index * plan.buffers.scratchBytes;
  }

  get buffers() {
    return this.#plan.buffers;
  }

  /** hidden = rows of the embedding for the ids in the id buffer. */
  embed(): void {
    const { buffers, embedding } = this.#plan;
    embedRows(this.#thread, buffers.hidden, embedding, buffers.ids, this.#rows, this.#start, this.#end);
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

  /**
   * out = x · weightᵀ for each pair, or out += …; x has been written by row (by `norm` or `embed`).
   * The input is quantised once for all the weights that want it alike. Ends with a barrier.
   * @param name of the product, for the profile
   */
  linear(
    name: string,
    x: number,
    outputs: readonly (readonly [out: number, weight: Weight])[],
    accumulate = false,
  ): void {
    const thread = this.#thread;
    const { activations } = this.buffers;
    const columns = (outputs[0] as readonly [number, Weight])[1].columns;
    let done: ActivationKind | undefined;
    for (const [, weight] of outputs) {
      const kind = activationKind(weight.layout);
      if (kind !== "f32" && kind !== done)
        quantiseActivations(thread, kind, activations[kind], x, this.#rows, columns, this.#start, this.#end);
      done = kind;
    }
    thread.barrier();
    this.#profile?.mark("quantise activations");
    for (const [out, weight] of outputs) {
      const kind = activationKind(weight.layout);
      const input = kind === "f32" ? x : activations[kind];
      matmul(thread, out, weight, input, this.#rows, { accumulate, scratch: this.#scratch });
    }
    thread.barrier();
    this.#profile?.mark(name);
  }

  /** Turns queries and keys by their positions, and makes them ready for the cache. By row. */
  rope(): void {
    const { config, buffers, ropeTable } = this.#plan;
    const { heads, kvHeads, headDim } = config;
    const thread = this.#thread;
    for (const { cache, position, row, tokens } of this.#slices) {
      const [start, end] = [Math.max(this.#start - row, 0), Math.min(this.#end - row, tokens)];
      if (start >= end) continue;
      const queries = buffers.queries + row * heads * headDim * 4;
      const keys = buffers.keys + row * kvHeads * headDim * 4;
      applyRope(thread, ropeTable, queries, heads, headDim, position, start, end);
      applyRope(thread, ropeTable, keys, kvHeads, headDim, position, start, end);
      spreadOutliers(thread, cache, queries, keys, start, end);
    }
    thread.barrier();
    this.#profile?.mark("RoPE");
  }

  /** attended = softmax(q·kᵀ / √headDim + causal mask) · v over the cache of `layer`, the new keys and values included. */
  attention(layer: number): void {
    const thread = this.#thread;
    const { together, alone } = this.#shares;
    for (const slice of together) this.#store(thread, layer, slice);
    const own = solo(thread);
    for (const slice of alone) this.#store(own, layer, slice);
    thread.barrier();
    this.#profile?.mark("store keys and values");
    together.forEach((slice, i) => {
      // They use the same scratch.
      if (i > 0) thread.barrier();
      this.#attend(thread, layer, slice);
    });
    for (const slice of alone) this.#attend(own, layer, slice);
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

  /** gate = activation(gate) · up, on the rows this thread has just computed of both. */
  gate(): void {
    const { config, buffers } = this.#plan;
    const { kernels } = this.#thread;
    const kernel = config.activation === "relu2" ? kernels.relu2_gate : kernels.silu_gate;
    for (let token = this.#start; token < this.#end; token++) {
      const at = token * config.ffn * 4;
      kernel(buffers.gate + at, buffers.gate + at, buffers.up + at, config.ffn);
    }
    this.#profile?.mark("gate");
  }

  /** logits = rms(hidden) · headᵀ of the rows the slices want them of. `out` is `[wanted rows, vocab]`. */
  logits(out: number): void {
    const { config, buffers, head, outputNorm } = this.#plan;
    const rows = wantedRows(this.#slices);
    if (rows.length === 0) return;
    const wanted = new ForwardPass(this.#thread, this.#plan, [], this.#profile, rows.length);
    const { kernels } = this.#thread;
    const bytes = config.hidden * 4;
    for (let i = wanted.#start; i < wanted.#end; i++) {
      const from = buffers.hidden + (rows[i] as number) * bytes;
      kernels.rms_norm(buffers.normed + i * bytes, from, outputNorm, config.hidden, config.rmsNormEps);
    }
    this.#profile?.mark("norms");
    wanted.linear("head", buffers.normed, [[out, head]]);
  }
}

/** The same thread as if there were no others. */
function solo(thread: Thread): Thread {
  return { ...thread, index: 0, count: 1, barrier() {} };
}
