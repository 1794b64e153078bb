// Ternary matrices whose scale changes every 256 columns. Rare: correct, not fast.
import { ternaryCode } from "./rows";

/**
 * out[t][r] = Σ over blocks of 256 columns of f32(Σ (code − 1) · x) · blockScale, divided by the token's scale. Records
 * as for `gemm_ternary`; `blockScales` f32 [rows][⌈columns / 256⌉].
 */
export function gemm_ternary_blocks(
  out: usize, weights: usize, records: usize, tokens: i32, rows: i32, columns: i32, rowStart: i32, rowEnd: i32,
  blockScales: usize, accumulate: bool,
): void {
  const padded = (columns + 31) & ~31;
  const stride = <usize>(16 + 3 * padded);
  const blocks = (columns + 255) >> 8;
  for (let row = rowStart; row < rowEnd; row++) {
    for (let t = 0; t < tokens; t++) {
      const record = records + <usize>t * stride;
      let total: f32 = 0;
      for (let b = 0; b < blocks; b++) {
        let sum = 0;
        const end = min((b + 1) << 8, columns);
        for (let c = b << 8; c < end; c++)
          sum += (ternaryCode(weights, padded, row, c) - 1) * load<i8>(record + 16 + c);
        total += <f32>sum * load<f32>(blockScales + ((<usize>row * blocks + b) << 2));
      }
      const to = out + ((<usize>t * rows + row) << 2);
      const value = total / load<f32>(record);
      store<f32>(to, accumulate ? load<f32>(to) + value : value);
    }
  }
}
