import { GROUP_BYTES, PASS_GROUPS, SUM_BYTES } from "./gemm-blocks";
import { LUT_SCRATCH } from "./layouts/ternary-lut-gemm";
import { FEW_SUMS, tileBytes } from "./tiles";

/** Bytes of scratch one thread needs for products with matrices of up to `columns` columns. */
export function matmul_scratch_bytes(columns: i32): i32 {
  const padded = (columns + 31) & ~31;
  // Sums and unpacked columns of a pass, and per 512 columns where the sums of 128 tokens start.
  const pass = <i32>(PASS_GROUPS * (SUM_BYTES + GROUP_BYTES)) + (((padded + 511) >> 9) << 9);
  // Eight rows of floats; look-up tables of 16 bytes per column behind the sums of a panel; 16 tokens in tiles.
  return max(max(pass, <i32>LUT_SCRATCH), max(32 * padded, <i32>FEW_SUMS + <i32>tileBytes(16, padded, true)));
}

/** The same for matrices of which 64 rows are brought to layout `ternary` first. */
export function strip_scratch_bytes(columns: i32): i32 {
  return matmul_scratch_bytes(columns) + (((columns + 31) & ~31) << 4);
}
