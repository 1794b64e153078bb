/** Some rows of a matrix as they are stored in a file, on their way to its layout in memory. */
@unmanaged
export class Repack {
  /** The matrix in its layout. */
  weights: usize;
  /** The bytes of the rows. */
  source: usize;
  /** Scratch: padded columns and 4,096 bytes. */
  temp: usize;
  /** Where the scales of a ternary matrix go, as in `Product`; for TQ1_0 and TQ2_0. */
  blockScales: usize;
  /** Rows at `source`. */
  rows: i32;
  columns: i32;
  /** Number of the first of them in the file. */
  firstRow: i32;
  /** Rows of a head whose RoPE pairs are neighbours and must become halves; 0 where the order stays. */
  headDim: i32;
  /** Stored floats: 0 f32, 1 f16, 2 bf16. */
  type: i32;
  /** Values of an I2_S block, 64 or 128. */
  block: i32;
  /** Rows of the whole matrix; for files that pack four distant rows in a byte. */
  matrixRows: i32;
  /** 1 / mean magnitude, for floats that become ternary. */
  inverse: f32;
}
