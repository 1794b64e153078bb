/** What is repeated, and how that is penalised. */
@unmanaged
export class Repetition {
  /** i32 [count]: ids, the newest last. */
  history: usize;
  count: i32;
  /** Bitset over the vocabulary, or 0. */
  breakers: usize;
  /** i32 [count + vocab], the part for the vocabulary zero before and after. */
  scratch: usize;
  /** Longest repetition that costs nothing. */
  allowed: i32;
  multiplier: f32;
  base: f32;
}
