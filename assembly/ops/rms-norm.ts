/**
 * out[i] = x[i] · (1 / √(mean(x²) + eps)) · weight[i]; one row of `size` f32 (a multiple of 4); `out` may be `x`.
 * Order of the sum: lane l of accumulator a takes the elements 16j + 4a + l; then ((a0 + a1) + (a2 + a3)), then
 * (lane 0 + lane 2) + (lane 1 + lane 3). A tail of fewer than 16 elements goes to accumulator 0 in order.
 */
export function rms_norm(out: usize, x: usize, weight: usize, size: i32, eps: f32): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  const end = <usize>size << 2;
  const whole = end & ~63;
  let i: usize = 0;
  for (; i < whole; i += 64) {
    const x0 = v128.load(x + i);
    const x1 = v128.load(x + i, 16);
    const x2 = v128.load(x + i, 32);
    const x3 = v128.load(x + i, 48);
    a0 = f32x4.add(a0, f32x4.mul(x0, x0));
    a1 = f32x4.add(a1, f32x4.mul(x1, x1));
    a2 = f32x4.add(a2, f32x4.mul(x2, x2));
    a3 = f32x4.add(a3, f32x4.mul(x3, x3));
  }
  for (; i < end; i += 16) {
    const x0 = v128.load(x + i);
    a0 = f32x4.add(a0, f32x4.mul(x0, x0));
  }
  const sum = f32x4.add(f32x4.add(a0, a1), f32x4.add(a2, a3));
  const total =
    f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 2) + (f32x4.extract_lane(sum, 1) + f32x4.extract_lane(sum, 3));
  const factor = f32x4.splat(<f32>1.0 / sqrt<f32>(total / <f32>size + eps));
  for (i = 0; i < end; i += 16) {
    v128.store(out + i, f32x4.mul(f32x4.mul(v128.load(x + i), factor), v128.load(weight + i)));
  }
}
