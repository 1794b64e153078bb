import { RopeScaling } from "../abi";

/** e^x for |x| < 700, f64: x = n·ln 2 + r, Taylor series of 14 terms on r. Multiplications and additions in a fixed order. */
function expF64(x: f64): f64 {
  const n = nearest(x * 1.4426950408889634);
  const r = x - n * 6.93147180369123816490e-01 - n * 1.90821492927058770002e-10;
  let sum = 1.0;
  for (let k = 14; k > 0; k--) sum = 1.0 + (sum * r) / <f64>k;
  return sum * reinterpret<f64>((<i64>n + 1023) << 52);
}

/** Natural logarithm of a normal x > 0, f64: x = 2^n·m, √½ ≤ m < √2, series of artanh. */
function logF64(x: f64): f64 {
  const bits = reinterpret<i64>(x);
  let n = <f64>((bits >> 52) - 1023);
  let m = reinterpret<f64>((bits & 0xfffffffffffff) | (1023 << 52));
  if (m > 1.4142135623730951) {
    m *= 0.5;
    n += 1.0;
  }
  const z = (m - 1.0) / (m + 1.0);
  const square = z * z;
  let sum = 0.0;
  for (let k = 27; k > 0; k -= 2) sum = sum * square + 1.0 / <f64>k;
  return n * 0.6931471805599453 + 2.0 * z * sum;
}

/** Angle of 0 … 10⁶ radians minus its nearest multiple of π/2, subtracted in two parts (33 bits, rest). */
// @ts-ignore: decorator
@inline
function reduce(angle: f64, quarter: f64): f64 {
  return angle - quarter * 1.57079632673412561417 - quarter * 6.07710050650619224932e-11;
}

/** Taylor series of sin (start = 1) or cos (start = 0) on |r| ≤ π/4. */
function taylor(r: f64, start: i32): f64 {
  const square = r * r;
  let sum = 1.0;
  for (let k = start + 16; k > start; k -= 2) sum = 1.0 - (sum * square) / <f64>(k * (k - 1));
  return start ? sum * r : sum;
}

/**
 * The RoPE table: f32 [positions][2][headDim / 2], cosines then sines of position · frequency of pair j, where
 * frequency = theta^(−2j / headDim), divided by `factors[j]` (f32) when that address is not 0, or else changed by `scaling`
 * when there is one. Computed in f64 by own series in a fixed order and rounded once: the same bits everywhere.
 */
export function rope_table(
  out: usize,
  positions: i32,
  headDim: i32,
  theta: f64,
  factors: usize,
  scaling: RopeScaling | null,
): void {
  const half = headDim >> 1;
  const logTheta = logF64(theta);
  for (let j = 0; j < half; j++) {
    let frequency = expF64((-2.0 * <f64>j * logTheta) / <f64>headDim);
    if (factors) frequency /= <f64>load<f32>(factors + (<usize>j << 2));
    else if (scaling) {
      const turns = (scaling.original * frequency) / 6.283185307179586;
      if (turns < scaling.low) frequency /= scaling.factor;
      else if (turns <= scaling.high) {
        const smooth = (turns - scaling.low) / (scaling.high - scaling.low);
        frequency = ((1.0 - smooth) * frequency) / scaling.factor + smooth * frequency;
      }
    }
    let at = out + (<usize>j << 2);
    for (let position = 0; position < positions; position++, at += <usize>headDim << 2) {
      const angle = <f64>position * frequency;
      const quarter = nearest(angle * 0.6366197723675814);
      const r = reduce(angle, quarter);
      const turn = <i32>(<i64>quarter & 3);
      const sine = taylor(r, 1);
      const cosine = taylor(r, 0);
      const c = turn & 1 ? sine : cosine;
      const s = turn & 1 ? cosine : sine;
      store<f32>(at, <f32>(turn == 1 || turn == 2 ? -c : c));
      store<f32>(at + (<usize>half << 2), <f32>(turn >= 2 ? -s : s));
    }
  }
}

/**
 * Rotates pairs (j, j + headDim / 2) of x, f32 [tokens][heads][headDim], in place:
 * (a, b) → (a·cos − b·sin, b·cos + a·sin). `table` is the row of the first token's position; headDim is a multiple of 8.
 */
export function rope_rotate(x: usize, table: usize, tokens: i32, heads: i32, headDim: i32): void {
  const half = <usize>headDim << 1;
  for (let token = 0; token < tokens; token++) {
    for (let head = 0; head < heads; head++) {
      for (let j: usize = 0; j < half; j += 16) {
        const cosine = v128.load(table + j);
        const sine = v128.load(table + half + j);
        const a = v128.load(x + j);
        const b = v128.load(x + half + j);
        v128.store(x + j, f32x4.sub(f32x4.mul(a, cosine), f32x4.mul(b, sine)));
        v128.store(x + half + j, f32x4.add(f32x4.mul(b, cosine), f32x4.mul(a, sine)));
      }
      x += half << 1;
    }
    table += half << 1;
  }
}
