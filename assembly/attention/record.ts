/**
 * sums += Σ q·qᵀ over query rows: f32 [headDim][headDim].
 * @param q f32; row r is number r mod `group` of token r / `group`, tokens `stride` bytes apart
 */
export function record_moments(sums: usize, q: usize, stride: usize, rows: i32, group: i32, headDim: i32): void {
  const bytes = <usize>headDim << 2;
  for (let row = 0; row < rows; row++) {
    const from = q + <usize>(row / group) * stride + <usize>(row % group) * bytes;
    let to = sums;
    for (let i: usize = 0; i < bytes; i += 4) {
      const x = v128.load32_splat(from + i);
      for (let j: usize = 0; j < bytes; j += 16, to += 16)
        v128.store(to, f32x4.add(v128.load(to), f32x4.mul(x, v128.load(from + j))));
    }
  }
}
