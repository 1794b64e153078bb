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
