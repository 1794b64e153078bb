/** A product of a matrix with the activations of some tokens, as its kernels read it. */
@unmanaged
export class Product {
  /** f32 [tokens][rows]: the result. */
  out: usize;
  /** The matrix in its layout. */
  weights: usize;
  /** f32 [groups of 8 rows][columns / 256][8]: scales of a ternary matrix whose blocks differ in scale, or 0. */
  blockScales: usize;
  /** One record per token, as `quantise_per_token` or `quantise_per_block` writes it, or f32 [tokens][columns]. */
  activations: usize;
  /** This thread's own scratch, `matmul_scratch_bytes(columns)` bytes. */
  scratch: usize;
  tokens: i32;
  rows: i32;
  columns: i32;
  /** Factor on the result of a ternary matrix. */
  scale: f32;
  /** Added to what is in `out` if not 0. */
  accumulate: i32;
  /** Which relaxed dot product: 0 that with 16-bit sums, 1 that with 32-bit sums. */
  dot32: i32;
  /** Rows of a block of layout `ternary-columns`. */
  blockRows: i32;
  /** Lists of active columns from `list_columns`, where the product is to leave the others out. */
  offsets: usize;
  values: usize;
}
