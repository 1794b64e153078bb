/** The gated half of a feed-forward network with relu², as its kernel reads it. */
@unmanaged
export class Gated {
  /** f32 [tokens][rows]: gates, which become relu(gate)² · up. */
  gate: usize;
  /** The matrix `up` in layout `ternary-rows`. */
  weights: usize;
  /** One record per token, as `quantise_per_token` writes it. */
  activations: usize;
  /** This thread's own scratch, `matmul_scratch_bytes(columns)` bytes. */
  scratch: usize;
  /** f64: gates that were not zero, rows that no token needed; added to. */
  counters: usize;
  tokens: i32;
  rows: i32;
  columns: i32;
  /** Factor on the product. */
  scale: f32;
}
