import { OptionError } from "../errors.js";
import type { Kernels } from "../kernels/generated.js";
import type { Memory } from "../memory/memory.js";
import { noNumbers } from "./logits.js";
import { type ResolvedSampling, resolveSampling, type SamplingOptions } from "./options.js";

/** A chosen token. */
export interface Sampled {
  id: number;
  /** ln of its probability in the model's own distribution: before penalty, temperature and cuts. */
  logprob: number;
}

/** Chooses one token after another. The same options, seed and logits give the same tokens on every engine. */
export interface Sampler {
  /** The options in force, defaults filled in. */
  readonly options: ResolvedSampling;
  /**
   * Chooses from the logits (f32 `[vocab]`, left as they are).
   * @param history all tokens so far; only the newest `repetitionWindow` matter, and only with a penalty
   * @throws KernelError when no logit is a number above −∞
   */
  sample(logitsAddress: number, history: ArrayLike<number>): Sampled;
  /** Where the random sequence stands, for `restore` of this or another sampler. */
  readonly state: Uint8Array;
  restore(state: Uint8Array): void;
  /** Gives the memory back. Any number of calls is fine. */
  dispose(): void;
}

/** What sampling needs of the linear memory. */
export type SamplingMemory = Pick<Memory, "alloc" | "free" | "u8" | "i32" | "f32">;

const STATE_BYTES = 16;
/** Candidates sorted at first when there is no top-k; eight times as many when those do not decide. */
const FIRST_CANDIDATES = 128;

/**
 * Steps, in this order: repetition penalty, temperature, top-k, top-p (of what top-k left), min-p, draw. All of them
 * are kernels in f32 with sums in f64, in a fixed order.
 * @throws OptionError for a sampling option out of range; MemoryError
 */
export function createSampler(
  kernels: Kernels,
  memory: SamplingMemory,
  vocab: number,
  samplingOptions: SamplingOptions = {},
): Sampler {
  const options = resolveSampling(samplingOptions);
  const { topP, minP, seed, repetitionWindow } = options;
  const temperature = Math.fround(options.temperature);
  const penalised = options.repetitionPenalty !== 1 && repetitionWindow > 0;
  const limit = options.topK > 0 ? Math.min(options.topK, vocab) : vocab;

  // One block: random state | penalised copy | penalised ids | candidate values | candidate ids
  const copyBytes = penalised ? vocab * 4 : 0;
  const idsBytes = penalised ? repetitionWindow * 4 : 0;
  const block = memory.alloc(STATE_BYTES + copyBytes + idsBytes + limit * 8, "sampling");
  const copyAt = block + STATE_BYTES;
  const penaltyIdsAt = copyAt + copyBytes;
  const valuesAt = penaltyIdsAt + idsBytes;
  const idsAt = valuesAt + limit * 4;
  let disposed = false;
  kernels.random_seed(block, (seed % 2 ** 32) | 0, Math.floor(seed / 2 ** 32));

  function penalise(logits: number, history: ArrayLike<number>): number {
    const ids = new Set<number>();
    for (let i = Math.max(0, history.length - repetitionWindow); i < history.length; i++) {
      const id = history[i] as number;
      if (id >= 0 && id < vocab) ids.add(id);
    }
    memory.u8(copyAt, copyBytes).set(memory.u8(logits, copyBytes));
    memory.i32(penaltyIdsAt, ids.size).set([...ids]);
    kernels.repetition_penalty_f32(copyAt, penaltyIdsAt, ids.size, options.repetitionPenalty);
    return copyAt;
  }

  function draw(logits: number): number {
    if (temperature === 0) return kernels.argmax_f32(logits, vocab);
    const u = kernels.random_f64(block);
    const topK = limit < vocab;
    let total = -1;
    for (let count = topK ? limit : Math.min(FIRST_CANDIDATES, vocab); ; count = Math.min(count * 8, limit)) {
      const found = kernels.top_n_f32(valuesAt, idsAt, logits, vocab, count);
      if (found === 0) return -1;
      const more = !topK && found === count && count < vocab;
      if (more && total < 0)
        total = kernels.sum_exp_f32(logits, vocab, memory.f32(valuesAt, 1)[0] as number, temperature);
      const index = kernels.draw_candidate(valuesAt, found, total, more, temperature, topP, minP, u);
      if (index >= 0) return memory.i32(idsAt, found)[index] as number;
    }
  }

  return {
    options,
    sample(logits, history) {
      if (disposed) throw new OptionError("The sampler was disposed");
      const id = draw(penalised ? penalise(logits, history) : logits);
      if (id < 0) throw noNumbers();
      return { id, logprob: kernels.logprob_f32(logits, vocab, id) };
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
      if (!disposed) memory.free(block);
      disposed = true;
    },
  };
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
