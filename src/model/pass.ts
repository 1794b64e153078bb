import { attend } from "../attention/attend.js";
import type { CacheDescriptor } from "../attention/cache.js";
import { spreadOutliers } from "../attention/hadamard.js";
import { applyRope } from "../attention/rope.js";
import { storeKeysValues } from "../attention/store.js";
import { type ActivationKind, activationKind, quantiseActivations } from "../matmul/activations.js";
import { embedRows, matmul } from "../matmul/matmul.js";
import type { Weight } from "../matmul/weight.js";
import type { Thread } from "../runtime/thread.js";
import { share } from "../runtime/thread.js";
import type { ModelPlan } from "./plan.js";
import type { Profile } from "./profile.js";

/**
 * The operations of one forward pass over `tokens` tokens, as one thread sees them. Every thread calls the same
 * methods in the same order. Norms, RoPE and quantisation are shared out by token, matrix products by output row,
 * attention by head. A method whose result other threads need ends with a barrier; the others do
 * not, so that steps on the same tokens follow each other freely.
 */
export class ForwardPass {
  readonly #thread: Thread;
  readonly #plan: ModelPlan;
  readonly #cache: CacheDescriptor;
  readonly #tokens: number;
  readonly #position: number;
  readonly #start: number;
  readonly #end: number;
  readonly #scratch: number;
  readonly #profile: Profile | undefined;

  /**
   * @param position of the first token in its sequence
   * @param profile where the time of each operation is booked, on one thread only
   */
  constructor(
    thread: Thread,
    plan: ModelPlan,
    cache: CacheDescriptor,
    tokens: number,
    position: number,
    profile?: Profile,
  ) {
    this.#profile = profile;
    this.#thread = thread;
    this.#plan = plan;
    this.#cache = cache;
    this.#tokens = tokens;
    this.#position = position;
    [this.#start, this.#end] = share(thread, tokens);
    this.#scratch = plan.buffers.scratch + thread.index * plan.buffers.scratchBytes;
  }

  get buffers() {
    return this.#plan.buffers;
  }

  /** hidden = rows of the embedding for the ids in the id buffer. */
  embed(): void {
    const { buffers, embedding } = this.#plan;
    embedRows(this.#thread, buffers.hidden, embedding, buffers.ids, this.#tokens, this.#start, this.#end);
    this.#profile?.mark("embedding");
  }

  /** out = x / √(mean(x²) + eps) · weight, for each token; `size` numbers per token in both. By token. */
  norm(out: number, x: number, weight: number, size: number): void {
    const { kernels } = this.#thread;
    const eps = this.#plan.config.rmsNormEps;
    for (let token = this.#start; token < this.#end; token++)
      kernels.rms_norm(out + token * size * 4, x + token * size * 4, weight, size, eps);
    this.#profile?.mark("norms");
  }

  /**
   * out = x · weightᵀ for each pair, or out += …; x has been written by token (by `norm` or `embed`).
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
        quantiseActivations(thread, kind, activations[kind], x, this.#tokens, columns, this.#start, this.#end);
      done = kind;
    }
    thread.barrier();
    this.#profile?.mark("quantise activations");
    for (const [out, weight] of outputs) {
      const kind = activationKind(weight.layout);
      const input = kind === "f32" ? x : activations[kind];
      matmul(thread, out, weight, input, this.#tokens, { accumulate, scratch: this.#scratch });
    }
    thread.barrier();
    this.#profile?.mark(name);
  }

  /** Turns queries and keys by their positions, and makes them ready for the cache. By token. */
  rope(): void {
    const { config, buffers, ropeTable } = this.#plan;
    const [thread, position, start, end] = [this.#thread, this.#position, this.#start, this.#end];
    applyRope(thread, ropeTable, buffers.queries, config.heads, config.headDim, position, start, end);
    applyRope(thread, ropeTable, buffers.keys, config.kvHeads, config.headDim, position, start, end);
    spreadOutliers(thread, this.#cache, buffers.queries, buffers.keys, start, end);
    thread.barrier();
    this.#profile?.mark("RoPE");
  }

  /** attended = softmax(q·kᵀ / √headDim + causal mask) · v over the cache of `layer`, the new keys and values included. */
  attention(layer: number): void {
    const { buffers } = this.#plan;
    const [thread, cache, tokens, position] = [this.#thread, this.#cache, this.#tokens, this.#position];
    storeKeysValues(thread, cache, layer, buffers.keys, buffers.values, tokens, position, buffers.attentionScratch);
    thread.barrier();
    this.#profile?.mark("store keys and values");
    attend(thread, cache, layer, buffers.attended, buffers.queries, tokens, position, buffers.attentionScratch);
    thread.barrier();
    this.#profile?.mark("attention");
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

  /** logits = rms(hidden) · headᵀ of the last token, or of all. `out` is `[1 or tokens, vocab]`. */
  logits(out: number, all: boolean): void {
    const { config, buffers, head, outputNorm } = this.#plan;
    if (all) {
      this.norm(buffers.normed, buffers.hidden, outputNorm, config.hidden);
      this.linear("head", buffers.normed, [[out, head]]);
      return;
    }
    const last = new ForwardPass(
      this.#thread,
      this.#plan,
      this.#cache,
      1,
      this.#position + this.#tokens - 1,
      this.#profile,
    );
    last.norm(buffers.normed, buffers.hidden + (this.#tokens - 1) * config.hidden * 4, outputNorm, config.hidden);
    last.linear("head", buffers.normed, [[out, head]]);
  }
}
