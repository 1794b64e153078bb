/**
 * The sampling kernels of `assembly/sampling`, as seen from TypeScript. In all of them NaN and −∞ weigh nothing and
 * are never chosen, and +∞ counts as the largest finite number.
 */
export interface SamplingKernels {
  /** Index of the largest of x[0 … count), the lowest of several; −1 when there is none. */
  argmax_f32(x: number, count: number): number;
  /** The n largest, largest first, equal ones by index, into values (f32 [n]) and ids (i32 [n]). Returns how many. */
  top_n_f32(values: number, ids: number, x: number, count: number, n: number): number;
  /** Σ e^((x[i] − largest) / temperature), in f64. */
  sum_exp_f32(x: number, count: number, largest: number, temperature: number): number;
  /** ln Σ e^x[i]; NaN when there is no number. */
  logsumexp_f32(x: number, count: number): number;
  /** ln softmax(x)[id]. */
  logprob_f32(x: number, count: number, id: number): number;
  /** out[row] = ln softmax(logits[row])[ids[row]]; best[row] = argmax of the row, unless `best` is 0. */
  token_logprobs(out: number, best: number, logits: number, ids: number, rows: number, vocab: number): void;
  /** Penalises x at each of `count` distinct ids (i32). */
  repetition_penalty_f32(x: number, ids: number, count: number, penalty: number): void;
  /** Index of the candidate chosen by the uniform number `u`; −1 when more candidates are needed to decide. */
  draw_candidate(
    values: number,
    count: number,
    total: number,
    more: boolean,
    temperature: number,
    topP: number,
    minP: number,
    u: number,
  ): number;
  /** Starts a random sequence; `state` has 16 bytes. */
  random_seed(state: number, low: number, high: number): void;
  /** Next number of the sequence, in [0, 1). */
  random_f64(state: number): number;
}
