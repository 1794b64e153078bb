import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Bench, runnableBuilds } from "../helpers/kernels.js";

const f = Math.fround;

/** Twin: the same butterflies, one number at a time. */
function hadamard(x: Float32Array, factor: number): Float32Array {
  const y = x.slice();
  for (let half = y.length >> 1; half > 0; half >>= 1)
    for (let i = 0; i < y.length; i++)
      if (!(i & half)) [y[i], y[i + half]] = [f(y[i]! + y[i + half]!), f(y[i]! - y[i + half]!)];
  return y.map((value) => f(value * factor));
}

const vectors = fc
  .tuple(fc.constantFrom(4, 8, 16, 32, 64, 128), fc.integer({ min: 1, max: 4 }))
  .chain(([size, count]) =>
    fc.tuple(
      fc.constant(size),
      fc.array(fc.float({ noNaN: true, min: -100, max: 100 }), { minLength: size * count, maxLength: size * count }),
    ),
  );

for (const build of runnableBuilds) {
  const bench = new Bench(build);
  test(`hadamard (${build}) has the values of its twin, and is its own inverse times the size`, () => {
    fc.assert(
      fc.property(vectors, ([size, values]) => {
        bench.reset();
        const x = Float32Array.from(values);
        const count = x.length / size;
        const address = bench.put(x);
        bench.kernels.hadamard(address, count, size, 1 / size);
        const once = bench.f32(address, x.length).slice();
        for (let i = 0; i < count; i++) {
          const twin = hadamard(x.subarray(i * size, (i + 1) * size), 1 / size);
          assert.equal(
            [...once.subarray(i * size, (i + 1) * size)].map((v) => v + 0),
            [...twin].map((v) => v + 0),
          );
        }
        bench.kernels.hadamard(address, count, size, 1);
        bench.f32(address, x.length).forEach((value, i) => {
          assert.ok(Math.abs(value - x[i]!) < 1e-3);
        });
      }),
    );
  });
}

test.run();
