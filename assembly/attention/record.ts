/**
 * sums += Σ q·qᵀ over query rows: f32 [headDim][headDim].
 * @param q f32; row r is number r mod `group` of token r / `group`, tokens `stride` bytes apart
 */
export function record_moments(sums: usize, q: usize, stride: usize, rows: i32, group: i32, headDim: i32): void {
  const bytes = <usize>headDim << 2;
  let row = 0;
  for (; row + 3 < rows; row += 4) {
    const a = rowAt(q, stride, row, group, bytes);
    const b = rowAt(q, stride, row + 1, group, bytes);
    const c = rowAt(q, stride, row + 2, group, bytes);
    const d = rowAt(q, stride, row + 3, group, bytes);
    let to = sums;
    for (let i: usize = 0; i < bytes; i += 4) {
      const xa = v128.load32_splat(a + i);
      const xb = v128.load32_splat(b + i);
      const xc = v128.load32_splat(c + i);
      const xd = v128.load32_splat(d + i);
      for (let j: usize = 0; j < bytes; j += 16, to += 16) {
        let sum = v128.load(to);
        sum = f32x4.add(sum, f32x4.mul(xa, v128.load(a + j)));
        sum = f32x4.add(sum, f32x4.mul(xb, v128.load(b + j)));
        sum = f32x4.add(sum, f32x4.mul(xc, v128.load(c + j)));
        v128.store(to, f32x4.add(sum, f32x4.mul(xd, v128.load(d + j))));
      }
    }
  }
  for (; row < rows; row++) {
    const from = rowAt(q, stride, row, group, bytes);
    let to = sums;
    for (let i: usize = 0; i < bytes; i += 4) {
      const x = v128.load32_splat(from + i);
      for (let j: usize = 0; j < bytes; j += 16, to += 16)
        v128.store(to, f32x4.add(v128.load(to), f32x4.mul(x, v128.load(from + j))));
    }
  }
}

// @ts-ignore: decorator
@inline
function rowAt(q: usize, stride: usize, row: i32, group: i32, bytes: usize): usize {
  return q + <usize>(row / group) * stride + <usize>(row % group) * bytes;
}
