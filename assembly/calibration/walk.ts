/**
 * Keys on the grid: (key − center) / step rounded half to even and kept within ±63, as bytes and as f64, both [tokens][d];
 * keys, centers and steps f64, d a multiple of 2.
 */
export function calibration_codes(
  bytes: usize, numbers: usize, keys: usize, centers: usize, steps: usize, tokens: i32, d: i32,
): void {
  const row = <usize>d << 3;
  const least = f64x2.splat(-63);
  const greatest = f64x2.splat(63);
  for (; tokens > 0; tokens--)
    for (let i: usize = 0; i < row; i += 16, keys += 16, numbers += 16, bytes += 2) {
      const x = f64x2.div(f64x2.sub(v128.load(keys), v128.load(centers + i)), v128.load(steps + i));
      const code = f64x2.pmax(least, f64x2.pmin(greatest, f64x2.nearest(x)));
      v128.store(numbers, code);
      const whole = i32x4.trunc_sat_f64x2_s_zero(code);
      store<i8>(bytes, i32x4.extract_lane(whole, 0));
      store<i8>(bytes, i32x4.extract_lane(whole, 1), 1);
    }
}

/**
 * The walk of delta attention element by element: how often one is kept because it differs by more than `most` from its
 * reference, which it then becomes. Codes i8 [tokens][d], the first token's are the first references; `most` i8 [d], d a
 * multiple of 16.
 */
export function calibration_walk_elements(codes: usize, most: usize, tokens: i32, d: i32): i32 {
  let kept = 0;
  for (let i: usize = 0; i < <usize>d; i += 16) {
    const limit = v128.load(most + i);
    let code = codes + i;
    let reference = v128.load(code);
    for (let t = 1; t < tokens; t++) {
      code += d;
      const x = v128.load(code);
      const over = i8x16.gt_s(i8x16.abs(i8x16.sub(x, reference)), limit);
      reference = v128.bitselect(x, reference, over);
      kept += popcnt(i8x16.bitmask(over));
    }
  }
  return kept;
}

/**
 * Four such walks over a block of `size` elements, each with its limit: kept when the sum of the squares of the differences,
 * each times `squares`, in their order, is above it. All f64: kept [4], codes [tokens][d] from the block's first element on,
 * squares [size], limits [4]; `references` is work for [size][4].
 */
export function calibration_walk_block(
  kept: usize, codes: usize, references: usize, squares: usize, limits: usize, tokens: i32, size: i32, d: i32,
): void {
  const bytes = <usize>size << 3;
  const zero = f64x2.splat(0);
  const one = f64x2.splat(1);
  const limitA = v128.load(limits);
  const limitB = v128.load(limits, 16);
  let keptA = zero;
  let keptB = zero;
  for (let i: usize = 0; i < bytes; i += 8) {
    const x = v128.load64_splat(codes + i);
    v128.store(references + (i << 2), x);
    v128.store(references + (i << 2), x, 16);
  }
  for (let t = 1; t < tokens; t++) {
    codes += <usize>d << 3;
    let a = zero;
    let b = zero;
    let reference = references;
    for (let i: usize = 0; i < bytes; i += 8, reference += 32) {
      const x = v128.load64_splat(codes + i);
      const square = v128.load64_splat(squares + i);
      const e = f64x2.sub(x, v128.load(reference));
      const f = f64x2.sub(x, v128.load(reference, 16));
      a = f64x2.add(a, f64x2.mul(f64x2.mul(e, e), square));
      b = f64x2.add(b, f64x2.mul(f64x2.mul(f, f), square));
    }
    const overA = f64x2.gt(a, limitA);
    const overB = f64x2.gt(b, limitB);
    if (!v128.any_true(v128.or(overA, overB))) continue;
    keptA = f64x2.add(keptA, v128.and(overA, one));
    keptB = f64x2.add(keptB, v128.and(overB, one));
    reference = references;
    for (let i: usize = 0; i < bytes; i += 8, reference += 32) {
      const x = v128.load64_splat(codes + i);
      v128.store(reference, v128.bitselect(x, v128.load(reference), overA));
      v128.store(reference, v128.bitselect(x, v128.load(reference, 16), overB), 16);
    }
  }
  v128.store(kept, keptA);
  v128.store(kept, keptB, 16);
}
