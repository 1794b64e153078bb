/** Weights below this add nothing to an output. */
const LEAST: f64 = 1e-9;

/** (1 + x / 1024)^1024 for x ≤ 0: near enough to eˣ. */
// @ts-ignore: decorator
@inline
function exponential(x: v128): v128 {
  let y = f64x2.pmax(f64x2.splat(0), f64x2.add(f64x2.splat(1), f64x2.mul(x, f64x2.splat(1.0 / 1024))));
  for (let i = 0; i < 10; i++) y = f64x2.mul(y, y);
  return y;
}

/** Four rows of products, f64 [count][4], to weights e^(x · scale − greatest); `totals` f64 [4] are their sums, in order. */
export function calibration_weights(x: usize, count: i32, scale: f64, totals: usize): void {
  const factor = f64x2.splat(scale);
  const end = x + (<usize>count << 5);
  let a = f64x2.splat(-Infinity);
  let b = a;
  for (let at = x; at < end; at += 32) {
    a = f64x2.pmax(a, v128.load(at));
    b = f64x2.pmax(b, v128.load(at, 16));
  }
  // Rounding keeps the order: the greatest product is the greatest once scaled, too.
  a = f64x2.mul(a, factor);
  b = f64x2.mul(b, factor);
  let sumA = f64x2.splat(0);
  let sumB = sumA;
  for (; x < end; x += 32) {
    const p = exponential(f64x2.sub(f64x2.mul(v128.load(x), factor), a));
    const q = exponential(f64x2.sub(f64x2.mul(v128.load(x, 16), factor), b));
    v128.store(x, p);
    v128.store(x, q, 16);
    sumA = f64x2.add(sumA, p);
    sumB = f64x2.add(sumB, q);
  }
  v128.store(totals, sumA);
  v128.store(totals, sumB, 16);
}

/** `sum` + Σ (x / total)² over `count` numbers, 32 bytes apart, in their order. */
export function calibration_squares(x: usize, count: i32, total: f64, sum: f64): f64 {
  for (const end = x + (<usize>count << 5); x < end; x += 32) {
    const share = load<f64>(x) / total;
    sum += share * share;
  }
  return sum;
}

/**
 * Sums of weights and of weighted values by bucket, key by key in their order: weights of one row, f64, 32 bytes apart;
 * a bucket (u8) for each four keys; values f32 [4 · groups][d]; out f64 [buckets][2 + d], the weights first,
 * then nothing; d a multiple of 2.
 */
export function calibration_outputs(out: usize, weights: usize, buckets: usize, values: usize, groups: i32, d: i32): void {
  const bytes = <usize>d << 2;
  for (; groups > 0; groups--, weights += 128, buckets++, values += bytes << 2) {
    const bucket = out + <usize>load<u8>(buckets) * ((<usize>d + 2) << 3);
    let a = load<f64>(weights);
    let b = load<f64>(weights, 32);
    let c = load<f64>(weights, 64);
    let e = load<f64>(weights, 96);
    store<f64>(bucket, load<f64>(bucket) + a + b + c + e);
    // Adding 0 changes no sum.
    a = a > LEAST ? a : 0;
    b = b > LEAST ? b : 0;
    c = c > LEAST ? c : 0;
    e = e > LEAST ? e : 0;
    if (a + b + c + e == 0) continue;
    const va = f64x2.splat(a);
    const vb = f64x2.splat(b);
    const vc = f64x2.splat(c);
    const ve = f64x2.splat(e);
    let to = bucket + 16;
    for (let from = values, end = values + bytes; from < end; from += 8, to += 16) {
      let sum = v128.load(to);
      sum = f64x2.add(sum, f64x2.mul(va, f64x2.promote_low_f32x4(v128.load64_zero(from))));
      sum = f64x2.add(sum, f64x2.mul(vb, f64x2.promote_low_f32x4(v128.load64_zero(from + bytes))));
      sum = f64x2.add(sum, f64x2.mul(vc, f64x2.promote_low_f32x4(v128.load64_zero(from + 2 * bytes))));
      sum = f64x2.add(sum, f64x2.mul(ve, f64x2.promote_low_f32x4(v128.load64_zero(from + 3 * bytes))));
      v128.store(to, sum);
    }
  }
}
