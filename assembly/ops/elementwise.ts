import { hiddenFloats, hiddenWords } from "../matmul/opaque";
import { expF32x4, expWith } from "./exp";

/** out[i] = e^x[i] for `count` numbers (a multiple of 4). For tests and as a building block. */
export function exp_f32(out: usize, x: usize, count: i32): void {
  for (let i = 0; i < count; i += 4) v128.store(out + (i << 2), expF32x4(v128.load(x + (i << 2))));
}

/** Copies `bytes` bytes that may overlap. */
export function copy_bytes(to: usize, from: usize, bytes: usize): void {
  memory.copy(to, from, bytes);
}

/** Adds to a counter, f64. */
export function add_count(counter: usize, value: f64): void {
  store<f64>(counter, load<f64>(counter) + value);
}

/** The same with four neighbouring counters. */
export function add_counts(counters: usize, a: i32, b: i32, c: i32, d: i32): void {
  store<f64>(counters, load<f64>(counters) + <f64>a);
  store<f64>(counters, load<f64>(counters, 8) + <f64>b, 8);
  store<f64>(counters, load<f64>(counters, 16) + <f64>c, 16);
  store<f64>(counters, load<f64>(counters, 24) + <f64>d, 24);
}

/** How many of `count` gates, a multiple of 4, are not ≤ 0. */
export function count_gates(gate: usize, count: i32): i32 {
  let closed = i32x4.splat(0);
  for (const end = gate + (<usize>count << 2); gate < end; gate += 16)
    closed = i32x4.add(closed, f32x4.le(v128.load(gate), f32x4.splat(0)));
  return (
    count +
    (i32x4.extract_lane(closed, 0) + i32x4.extract_lane(closed, 1)) +
    (i32x4.extract_lane(closed, 2) + i32x4.extract_lane(closed, 3))
  );
}

/** out[i] = max(gate[i], 0)² · up[i]; f32, `count` a multiple of 4; `out` may be `gate`. The gate of BitNet. */
export function relu2_gate(out: usize, gate: usize, up: usize, count: i32): void {
  const zero = f32x4.splat(0.0);
  for (let end = <usize>count << 2, i: usize = 0; i < end; i += 16) {
    const g = f32x4.pmax(zero, v128.load(gate + i));
    v128.store(out + i, f32x4.mul(f32x4.mul(g, g), v128.load(up + i)));
  }
}

/** out[i] = gate[i] / (1 + e^−gate[i]) · up[i]; f32, `count` a multiple of 4; `out` may be `gate`. The gate of Llama. */
export function silu_gate(out: usize, gate: usize, up: usize, count: i32): void {
  const one = hiddenFloats(1.0);
  const least = hiddenFloats(-87.0);
  const greatest = hiddenFloats(88.0);
  const log2e = hiddenFloats(1.44269504088896341);
  const ln2High = hiddenFloats(0.693359375);
  const ln2Low = hiddenFloats(-2.12194440e-4);
  const c6 = hiddenFloats(1.9875691500e-4);
  const c5 = hiddenFloats(1.3981999507e-3);
  const c4 = hiddenFloats(8.3334519073e-3);
  const c3 = hiddenFloats(4.1665795894e-2);
  const c2 = hiddenFloats(1.6666665459e-1);
  const c1 = hiddenFloats(5.0000001201e-1);
  const magic = hiddenFloats(12582912.0);
  const bias = hiddenWords(127 << 23);
  for (let end = <usize>count << 2, i: usize = 0; i < end; i += 16) {
    const g = v128.load(gate + i);
    const e = expWith(
      f32x4.neg(g), least, greatest, log2e, ln2High, ln2Low, c6, c5, c4, c3, c2, c1, one, magic, bias,
    );
    v128.store(out + i, f32x4.mul(f32x4.div(g, f32x4.add(one, e)), v128.load(up + i)));
  }
}
