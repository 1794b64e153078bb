/** Scaling of RoPE frequencies as in Llama 3. */
@unmanaged
export class RopeScaling {
  /** What low frequencies are divided by. */
  factor: f64;
  /** Turns within `original` below which a frequency is low, and above which it stays. */
  low: f64;
  high: f64;
  /** Context length of the original training. */
  original: f64;
}
