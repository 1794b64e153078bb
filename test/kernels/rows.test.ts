import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Bench, runnableBuilds } from "../helpers/kernels.js";
import { capLogits, geluGate, rmsNorm, ropePart } from "../twins/ops.js";

const f = Math.fround;
const float = fc.float({ noNaN: true, min: -100, max: 100 });
const floats = (length: number) =>
  fc.array(float, { minLength: length, maxLength: length }).map((values) => Float32Array.from(values));
const quads = fc.integer({ min: 1, max: 20 });
const factor = fc.float({ noNaN: true, min: f(0.01), max: 64 });
// +0 and −0 are one number here: a sign lost at 0 changes no sum.
const bits = (values: Float32Array) => [...new Uint32Array(values.map((value) => value + 0).buffer)];

for (const build of runnableBuilds) {
  const bench = new Bench(build);
  const { kernels } = bench;
  /** Runs `run` on a copy of `x` and compares it with `expected`, and what comes after it with zeros. */
  const inPlace = (x: Float32Array, run: (address: number) => void, expected: Float32Array) => {
    const address = bench.alloc(x.byteLength + 64);
    bench.f32(address, x.length).set(x);
    run(address);
    assert.equal(bits(bench.f32(address, x.length)), bits(expected));
    assert.equal([...bench.f32(address + x.byteLength, 4)], [0, 0, 0, 0]);
  };

  test(`gelu_gate (${build}) has the bits of its twin, and is near the formula`, () => {
    const pair = quads.chain((n) => fc.tuple(floats(n * 4), floats(n * 4)));
    fc.assert(
      fc.property(pair, ([gate, up]) => {
        bench.reset();
        inPlace(gate, (at) => kernels.gelu_gate(at, at, bench.put(up), gate.length), geluGate(gate, up));
      }),
    );
    bench.reset();
    const x = Float32Array.from({ length: 4000 }, (_, i) => (i - 2000) / 100);
    const at = bench.put(x);
    kernels.gelu_gate(at, at, bench.put(new Float32Array(4000).fill(1)), 4000);
    bench.f32(at, 4000).forEach((value, i) => {
      const exact = (x[i]! / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x[i]! + 0.044715 * x[i]! ** 3)));
      assert.ok(Math.abs(value - exact) <= 2e-6 * Math.abs(exact) + 1e-6, `gelu(${x[i]}) = ${exact}, got ${value}`);
    });
  });

  test(`cap_logits (${build}) has the bits of its twin for any count, and is near tanh`, () => {
    const any = fc.tuple(fc.integer({ min: 1, max: 70 }).chain(floats), factor, fc.oneof(fc.constant(0), factor));
    fc.assert(
      fc.property(any, ([x, divisor, cap]) => {
        bench.reset();
        inPlace(x, (at) => kernels.cap_logits(at, x.length, divisor, cap), capLogits(x, divisor, cap));
        capLogits(x, divisor, cap).forEach((value, i) => {
          const exact = cap === 0 ? x[i]! / divisor : cap * Math.tanh(x[i]! / divisor / cap);
          assert.ok(Math.abs(value - exact) <= 1e-6 * Math.abs(exact) + 1e-30, `${value} for ${exact}`);
        });
      }),
    );
  });

  test(`add_bias, add_scaled and scale_f32 (${build}) round after every operation`, () => {
    const some = fc
      .tuple(quads, fc.integer({ min: 0, max: 4 }), factor)
      .chain(([n, rows, scale]) =>
        fc.tuple(floats(n * 4 * rows), floats(n * 4 * rows), floats(n * 4), fc.constant(rows), fc.constant(scale)),
      );
    fc.assert(
      fc.property(some, ([x, other, bias, rows, scale]) => {
        bench.reset();
        const size = bias.length;
        const biased = x.map((value, i) => f(value + bias[i % size]!));
        inPlace(x, (at) => kernels.add_bias(at, bench.put(bias), rows, size), biased);
        const added = x.map((value, i) => f(value + f(other[i]! * f(scale))));
        inPlace(x, (at) => kernels.add_scaled(at, bench.put(other), x.length, scale), added);
        inPlace(
          x,
          (at) => kernels.scale_f32(at, x.length, scale),
          x.map((value) => f(value * f(scale))),
        );
      }),
    );
  });

  test(`rms_norm_rows (${build}) is rms_norm of every row`, () => {
    const rows = fc
      .tuple(quads, fc.integer({ min: 1, max: 5 }))
      .chain(([n, count]) => fc.tuple(floats(n * 4 * count), floats(n * 4)));
    fc.assert(
      fc.property(rows, ([x, weight]) => {
        bench.reset();
        const expected = new Float32Array(x.length);
        for (let at = 0; at < x.length; at += weight.length)
          expected.set(rmsNorm(x.subarray(at, at + weight.length), weight, 1e-6), at);
        const count = x.length / weight.length;
        inPlace(x, (at) => kernels.rms_norm_rows(at, bench.put(weight), count, weight.length, 1e-6), expected);
      }),
    );
  });

  test(`rope_rotate_part (${build}) turns the first elements of every head and leaves the rest`, () => {
    const shape = fc.record({
      tokens: fc.integer({ min: 1, max: 3 }),
      heads: fc.integer({ min: 1, max: 3 }),
      headDim: fc.constantFrom(16, 32, 48),
      pairs: fc.integer({ min: 1, max: 8 }),
    });
    const input = shape.chain((s) =>
      fc.tuple(fc.constant(s), floats(s.tokens * s.heads * s.headDim), floats(s.tokens * s.pairs * 2)),
    );
    fc.assert(
      fc.property(input, ([{ tokens, heads, headDim, pairs }, x, table]) => {
        bench.reset();
        const expected = new Float32Array(x.length);
        for (let token = 0; token < tokens; token++)
          for (let head = 0; head < heads; head++) {
            const at = (token * heads + head) * headDim;
            const row = table.subarray(token * pairs * 2, (token + 1) * pairs * 2);
            expected.set(ropePart(x.subarray(at, at + headDim), row), at);
          }
        const run = (at: number) => kernels.rope_rotate_part(at, bench.put(table), tokens, heads, headDim, pairs * 2);
        inPlace(x, run, expected);
      }),
    );
  });
}

test.run();
