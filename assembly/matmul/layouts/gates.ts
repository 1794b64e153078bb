// What the kernels of gated rows share.

/** (g, 0)⁺² · u, as `relu2_gate` and `storeTernary` compute it. */
// @ts-ignore: decorator
@inline
export function putGated(at: usize, sum: i32, record: usize, scale: f32): void {
  const g = load<f32>(at);
  store<f32>(at, g * g * ((<f32>(sum - load<i32>(record, 4)) * scale) / load<f32>(record)));
}

/** Lane i: the sum of the lanes of the i-th vector. */
// @ts-ignore: decorator
@inline
export function sumsAcross(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
  const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
  return i32x4.add(v128.shuffle<i64>(ab, cd, 0, 2), v128.shuffle<i64>(ab, cd, 1, 3));
}

/** Gates of four rows ≤ 0 become 0; the others' bits are set. NaN counts as active and becomes 0, as in `relu2_gate`. */
// @ts-ignore: decorator
@inline
export function rectify(at: usize, zero: v128): i32 {
  const g = v128.load(at);
  v128.store(at, f32x4.pmax(zero, g));
  return i32x4.bitmask(f32x4.le(g, zero)) ^ 15;
}

/** Counts rows × tokens that were computed, and rows that no token needed. */
// @ts-ignore: decorator
@inline
export function count64(counters: usize, active: i32, idle: i32): void {
  store<f64>(counters, load<f64>(counters) + <f64>active);
  store<f64>(counters, load<f64>(counters, 8) + <f64>idle, 8);
}
