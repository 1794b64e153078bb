const f = Math.fround;

/** Scalar twin of `rms_norm`: the same order of the sum, every operation rounded to f32. */
export function rmsNorm(x: Float32Array, weight: Float32Array, eps: number): Float32Array {
  const sums = new Float32Array(16);
  const whole = x.length - (x.length % 16);
  x.forEach((value, i) => {
    const lane = i < whole ? i % 16 : i % 4;
    sums[lane] = f(sums[lane]! + f(value * value));
  });
  const lanes = [0, 1, 2, 3].map((l) => f(f(sums[l]! + sums[4 + l]!) + f(sums[8 + l]! + sums[12 + l]!)));
  const total = f(f(lanes[0]! + lanes[2]!) + f(lanes[1]! + lanes[3]!));
  const factor = f(1 / f(Math.sqrt(f(f(total / x.length) + f(eps)))));
  return x.map((value, i) => f(f(value * factor) * weight[i]!));
}

/** Scalar twin of `relu2_gate`. */
export function relu2Gate(gate: Float32Array, up: Float32Array): Float32Array {
  return gate.map((g, i) => {
    const positive = g > 0 ? g : 0;
    return f(f(positive * positive) * up[i]!);
  });
}

/** What `silu_gate` approximates, in f64. */
export function siluGate(gate: Float32Array, up: Float32Array): Float64Array {
  return Float64Array.from(gate, (g, i) => (g / (1 + Math.exp(-g))) * up[i]!);
}

/** Scalar twin of `expF32x4`. */
export function exp(value: number): number {
  const x = Math.max(-87, Math.min(88, value));
  const scaled = f(x * f(Math.LOG2E));
  const n = roundHalfEven(scaled);
  let r = f(x - f(n * f(0.693359375)));
  r = f(r - f(n * f(-2.1219444e-4)));
  let p = f(1.98756915e-4);
  for (const c of [1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1])
    p = f(f(p * r) + f(c));
  p = f(f(f(f(p * r) * r) + r) + 1);
  return f(p * 2 ** n);
}

function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
}

/** Scalar twin of `tanhF32x4`. */
export function tanh(x: number): number {
  const size = Math.abs(x);
  if (!(size < 0.625)) return Math.sign(x) * f(1 - f(2 / f(exp(f(size + size)) + 1)));
  const square = f(x * x);
  let p = f(-5.70498872745e-3);
  for (const c of [2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1])
    p = f(f(p * square) + f(c));
  return f(f(f(p * square) * x) + x);
}

/** Scalar twin of `gelu_gate`. */
export function geluGate(gate: Float32Array, up: Float32Array): Float32Array {
  return gate.map((x, i) => {
    const factor = f(f(-1.5957691216057308) + f(f(x * x) * f(-0.07135481627159625)));
    return f(f(x / f(1 + exp(f(factor * x)))) * up[i]!);
  });
}

/** Scalar twin of `cap_logits`. */
export function capLogits(x: Float32Array, divisor: number, cap: number): Float32Array {
  return x.map((value) => {
    const y = f(value / f(divisor));
    return cap === 0 ? y : f(f(cap) * tanh(f(y / f(cap))));
  });
}

/** Scalar twin of `rope_rotate_part` for one head. */
export function ropePart(x: Float32Array, table: Float32Array): Float32Array {
  const half = table.length / 2;
  const out = x.slice();
  for (let j = 0; j < half; j++) {
    const [a, b] = [x[j]!, x[half + j]!];
    const [cosine, sine] = [table[j]!, table[half + j]!];
    out[j] = f(f(a * cosine) - f(b * sine));
    out[half + j] = f(f(b * cosine) + f(a * sine));
  }
  return out;
}
