/**
 * Multiplies every vector of `size` f32 numbers (a power of two, at least 4) at `x` by the Hadamard matrix of that size,
 * times `factor`, in place; `count` vectors one after the other. Butterflies from distance size/2 down to 1.
 * Queries and keys turned alike keep their products (H·Hᵀ = size·1), but outliers spread over all elements, so that
 * rounding to few bits costs less (QuaRot, arXiv 2404.00456).
 */
export function hadamard(x: usize, count: i32, size: i32, factor: f32): void {
  const bytes = <usize>size << 2;
  const scale = f32x4.splat(factor);
  for (let vector = 0; vector < count; vector++, x += bytes) {
    for (let half = bytes >> 1; half >= 16; half >>= 1) {
      for (let block: usize = 0; block < bytes; block += half << 1) {
        for (let i = block; i < block + half; i += 16) {
          const a = v128.load(x + i);
          const b = v128.load(x + i + half);
          v128.store(x + i, f32x4.add(a, b));
          v128.store(x + i + half, f32x4.sub(a, b));
        }
      }
    }
    const flip2 = i32x4(0, 0, <i32>0x80000000, <i32>0x80000000);
    const flip1 = i32x4(0, <i32>0x80000000, 0, <i32>0x80000000);
    for (let i: usize = 0; i < bytes; i += 16) {
      let a = v128.load(x + i);
      a = f32x4.add(i8x16.shuffle(a, a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7), v128.xor(a, flip2));
      a = f32x4.add(i8x16.shuffle(a, a, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11), v128.xor(a, flip1));
      v128.store(x + i, f32x4.mul(a, scale));
    }
  }
}
