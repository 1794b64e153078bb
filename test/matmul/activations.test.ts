import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { activationBytes, activationStride } from "#src/matmul/activations.js";
import { Bench, runnableBuilds } from "../helpers/kernels.js";
import { quantisePerBlock, quantisePerToken } from "../twins/activations.js";

const shapes = fc.record({
  tokens: fc.integer({ min: 1, max: 3 }),
  columns: fc.integer({ min: 1, max: 100 }),
  seed: fc.integer(),
  size: fc.constantFrom(1e-38, 1e-6, 1, 1e4, 1e30),
});

for (const build of runnableBuilds) {
  for (const [kind, twin] of [
    ["int8-token", quantisePerToken],
    ["int8-block", quantisePerBlock],
  ] as const)
    test(`${kind} (${build}): codes, scales and sums equal the plain twin's`, () => {
      const bench = new Bench(build);
      fc.assert(
        fc.property(shapes, ({ tokens, columns, seed, size }) => {
          bench.reset();
          const x = Float32Array.from(
            { length: tokens * columns },
            (_, i) => Math.fround(Math.sin(seed + i * 1.7) * size) * (i % 7 === 0 ? 0 : 1),
          );
          const bytes = activationBytes(kind, tokens, columns);
          const out = bench.alloc(bytes);
          const quantise = kind === "int8-token" ? bench.kernels.quantise_per_token : bench.kernels.quantise_per_block;
          quantise(out, bench.put(x), tokens, columns);
          const stride = activationStride(kind, columns);
          for (let t = 0; t < tokens; t++) {
            const expected = twin(x.subarray(t * columns, (t + 1) * columns));
            assert.equal(bench.u8(out + t * stride, expected.length), expected);
          }
        }),
        { numRuns: 200 },
      );
    });

  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    test(`${bad} among the activations (${build}) makes the scale NaN`, () => {
      const bench = new Bench(build);
      const x = new Float32Array(64).fill(1);
      x[40] = bad;
      const out = bench.alloc(1024);
      bench.kernels.quantise_per_token(out, bench.put(x), 1, 64);
      assert.ok(Number.isNaN(bench.f32(out, 1)[0]));
      bench.kernels.quantise_per_block(out, bench.put(x), 1, 64);
      assert.is(bench.f32(out + 192, 1)[0], Math.fround(1 / 127));
      assert.ok(Number.isNaN(bench.f32(out + 208, 1)[0]));
    });
}

test.run();
