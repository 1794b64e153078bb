/** Rows of a matrix to be read as f32: the embedding of some ids. */
@unmanaged
export class Lookup {
  /** f32 [tokens][columns]: the result; zeros for an id outside the matrix. */
  out: usize;
  /** The matrix in its layout. */
  weights: usize;
  /** As in `Product`. */
  blockScales: usize;
  /** i32 [tokens]: which rows. */
  ids: usize;
  tokens: i32;
  rows: i32;
  columns: i32;
  /** Factor on the rows of a ternary matrix. */
  scale: f32;
  /** As in `Product`. */
  blockRows: i32;
}
