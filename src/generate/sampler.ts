import { OptionError } from "../errors.js";
import type { Kernels } from "../kernels/generated.js";
import { createAdjustments, type SamplingMemory } from "./adjust.js";
import { noNumbers } from "./logits.js";
import type { ResolvedSampling } from "./sampling-options.js";

/** A chosen token. */
export interface Sampled {
  id: number;
  /**
   * ln of its probability in the model's own distribution, before biases, penalties, temperature and cuts; with a mask:
   * among the tokens it allows.
   */
  logprob: number;
  /** The likeliest tokens in that distribution, likeliest first, when they were asked for. */
  top?: { id: number; logprob: number }[];
}

/** What `Sampler.sample` may be told besides the logits. */
export interface SampleOptions {
  /**
   * Bitset over the vocabulary, bit i % 32 of word i / 32 for token i: only those tokens can be chosen. The logits of others
   * are not read; where one token is left, none are.
   */
  mask?: Uint32Array | undefined;
  /** How many of the likeliest tokens to name. Default: none. */
  top?: number | undefined;
}

/** Chooses one token after another. The same options, seed and logits give the same tokens on every engine. */
export interface Sampler {
  /** The options in force, defaults filled in. */
  readonly options: ResolvedSampling;
  /**
   * Chooses from the logits (f32 `[vocab]`, left as they are). Takes one number of the random sequence, at temperature 0
   * none.
   * @param history all tokens so far; only penalties look at them
   * @throws KernelError when no logit that may be chosen is a number above −∞
   */
  sample(logitsAddress: number, history: ArrayLike<number>, options?: SampleOptions): Sampled;
  /** Where the random sequence stands, for `restore` of this or another sampler. */
  readonly state: Uint8Array;
  restore(state: Uint8Array): void;
  /** Gives the memory back. Any number of calls is fine. */
  dispose(): void;
}

const STATE_BYTES = 16;
/** Candidates sorted at first when there is no top-k; eight times as many when those do not decide. */
const FIRST_CANDIDATES = 128;

/**
 * Steps in the order that `SamplingOptions` states. All of them are kernels in f32 with sums in f64, in a fixed order.
 * @param breakers sequence breakers of DRY, a bitset over the vocabulary
 * @throws OptionError for a bias of a token the model does not have; MemoryError
 */
export function createSampler(
  kernels: Kernels,
  memory: SamplingMemory,
  vocab: number,
  options: ResolvedSampling,
  breakers?: Uint32Array,
): Sampler {
  const { topP, minP, typicalP, seed } = options;
  const temperature = Math.fround(options.temperature);
  const limit = options.topK > 0 ? Math.min(options.topK, vocab) : vocab;
  const maskWords = Math.ceil(vocab / 32);

  const adjustments = createAdjustments(kernels, memory, vocab, options, breakers);
  // One block: random state and a range | candidate values | candidate ids
  const block = memory.alloc(STATE_BYTES + 16 + limit * 8, "sampling");
  const rangeAt = block + STATE_BYTES;
  const valuesAt = rangeAt + 16;
  const idsAt = valuesAt + limit * 4;
  // Made when first needed: a changed copy of the logits, followed by the mask; and the list of the likeliest.
  let copy = 0;
  let list = { at: 0, room: 0 };
  let disposed = false;
  kernels.random_seed(block, (seed % 2 ** 32) | 0, Math.floor(seed / 2 ** 32));

  function copyAt(): number {
    copy ||= memory.alloc((vocab + maskWords) * 4, "sampling");
    return copy;
  }

  /** A copy in which the tokens that are not allowed are −∞. Their logits are not looked at, nor is that of an only one. */
  function masked(logits: number, mask: Uint32Array, only: number): number {
    const at = copyAt() + vocab * 4;
    // A vocabulary may be shorter than the rows of logits: what is beyond it cannot be chosen.
    const words = memory.i32(at, maskWords);
    words.fill(0);
    words.set(mask.length <= maskWords ? mask : mask.subarray(0, maskWords));
    kernels.mask_f32(copyAt(), logits, at, vocab);
    if (only >= 0) memory.f32(copyAt() + only * 4, 1)[0] = 0;
    return copyAt();
  }

  function likeliest(logits: number, logsumexp: number, count: number): { id: number; logprob: number }[] {
    const wanted = Math.min(count, vocab);
    if (wanted === 0) return [];
    if (wanted > list.room) {
      if (list.at) memory.free(list.at);
      list = { at: 0, room: 0 }; // Should the next line fail, nothing is freed twice.
      list = { at: memory.alloc(wanted * 8, "the likeliest tokens"), room: wanted };
    }
    const found = kernels.top_logprobs_f32(list.at, list.at + list.room * 4, logits, vocab, wanted, logsumexp);
    const logprobs = memory.f32(list.at, found);
    return Array.from(memory.i32(list.at + list.room * 4, found), (id, i) => ({ id, logprob: logprobs[i] as number }));
  }

  function draw(logits: number): number {
    if (temperature === 0) return kernels.argmax_f32(logits, vocab);
    const u = kernels.random_f64(block);
    // All candidates are sorted where all of them are looked at.
    const limited = limit < vocab || typicalP < 1;
    let total = -1;
    for (let count = limited ? limit : Math.min(FIRST_CANDIDATES, vocab); ; count = Math.min(count * 8, limit)) {
      const found = kernels.top_n_f32(valuesAt, idsAt, logits, vocab, count);
      if (found === 0) return -1;
      const more = !limited && found === count && count < vocab;
      if (more && total < 0)
        total = kernels.sum_exp_f32(logits, vocab, memory.f32(valuesAt, 1)[0] as number, temperature);
      const [first, kept] = typicalP < 1 ? typical(found) : [0, found];
      const index = kernels.draw_candidate(valuesAt + first * 4, kept, total, more, temperature, topP, minP, u);
      if (index >= 0) return memory.i32(idsAt, found)[first + index] as number;
    }
  }

  function typical(found: number): [first: number, kept: number] {
    kernels.typical_f32(rangeAt, valuesAt, found, temperature, typicalP);
    const range = memory.i32(rangeAt, 2);
    return [range[0] as number, range[1] as number];
  }

  return {
    options,
    sample(logits, history, { mask, top } = {}) {
      if (disposed) throw new OptionError("The sampler was disposed");
      const only = mask ? onlyToken(mask, vocab) : -1;
      if (only >= 0 && top === undefined && !adjustments.any) {
        if (temperature !== 0) kernels.random_f64(block);
        return { id: only, logprob: 0 };
      }
      const allowed = mask ? masked(logits, mask, only) : logits;
      // Taken now where the copy is still to be changed.
      const early = mask !== undefined || top !== undefined;
      const logsumexp = early ? kernels.logsumexp_f32(allowed, vocab) : 0;
      const listed = top === undefined ? undefined : likeliest(allowed, logsumexp, top);
      let adjusted = allowed;
      if (adjustments.any) {
        adjusted = copyAt();
        if (!mask) memory.u8(adjusted, vocab * 4).set(memory.u8(logits, vocab * 4));
        adjustments.apply(adjusted, history);
      }
      const id = draw(adjusted);
      if (id < 0) throw noNumbers();
      if (only >= 0) return { id, logprob: 0, ...(listed ? { top: listed } : {}) };
      const logprob = early ? kernels.logprob_given_f32(logits, id, logsumexp) : kernels.logprob_f32(logits, vocab, id);
      return listed ? { id, logprob, top: listed } : { id, logprob };
    },
    get state() {
      return memory.u8(block, STATE_BYTES).slice();
    },
    restore(state) {
      if (state.length !== STATE_BYTES)
        throw new OptionError(`A sampler state has ${STATE_BYTES} bytes, not ${state.length}`, { key: "state" });
      memory.u8(block, STATE_BYTES).set(state);
    },
    dispose() {
      if (disposed) return;
      disposed = true;
      adjustments.dispose();
      for (const at of [block, copy, list.at]) if (at) memory.free(at);
    },
  };
}

/** The token a mask leaves where it leaves one of the vocabulary, otherwise −1. */
function onlyToken(mask: Uint32Array, vocab: number): number {
  let only = -1;
  for (let i = 0; i < mask.length; i++) {
    const word = mask[i] as number;
    if (word === 0) continue;
    if (only >= 0 || (word & (word - 1)) !== 0) return -1;
    only = i * 32 + 31 - Math.clz32(word);
  }
  return only < vocab ? only : -1;
}

/**
 * Logarithms of the probabilities of `targets`, one per row of logits (f32 `[targets.length, vocab]`), and whether
 * every target is the likeliest token of its row.
 * @throws KernelError when no logit of a row is a number above −∞
 */
export function readTokenLogprobs(
  kernels: Kernels,
  memory: SamplingMemory,
  logits: number,
  vocab: number,
  targets: ArrayLike<number>,
): { logprobs: Float32Array; greedy: boolean } {
  const rows = targets.length;
  if (rows === 0) return { logprobs: new Float32Array(0), greedy: true };
  const block = memory.alloc(rows * 12, "scoring");
  try {
    memory.i32(block, rows).set(targets);
    kernels.token_logprobs(block + rows * 4, block + rows * 8, logits, block, rows, vocab);
    const best = memory.i32(block + rows * 8, rows);
    if (best.some((id) => id < 0)) throw noNumbers();
    return { logprobs: memory.f32(block + rows * 4, rows).slice(), greedy: best.every((id, i) => id === targets[i]) };
  } finally {
    memory.free(block);
  }
}
