/** Whether this build has relaxed dots. */
export function relaxed_dots(): bool {
  return ASC_FEATURE_RELAXED_SIMD;
}

/**
 * The two integer dots this build is made of, on 16 int8 numbers at `a` and 16 in 0..127 at `b`, repeated `rounds`
 * times; writes i16[8] pair sums and i32[4] quadruple sums of the last round. The start-up test compares them with known
 * answers: an engine may accept relaxed SIMD and compute it wrongly in one of its tiers.
 */
export function dot_probe(out: usize, a: usize, b: usize, rounds: i32): void {
  let pairs = i16x8.splat(0);
  let quadruples = i32x4.splat(0);
  for (let round = 0; round < rounds; round++) {
    const x = v128.load(a);
    const w = v128.load(b);
    if (ASC_FEATURE_RELAXED_SIMD) {
      pairs = i16x8.relaxed_dot_i8x16_i7x16_s(x, w);
      quadruples = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, i32x4.splat(round));
    } else {
      const low = i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(x), i16x8.extend_low_i8x16_s(w));
      const high = i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(x), i16x8.extend_high_i8x16_s(w));
      pairs = i16x8.narrow_i32x4_s(low, high);
      quadruples = i32x4.add(i32x4.extadd_pairwise_i16x8_s(pairs), i32x4.splat(round));
    }
  }
  v128.store(out, pairs);
  v128.store(out, quadruples, 16);
}
