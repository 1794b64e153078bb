import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Bench, runnableBuilds } from "../helpers/kernels.js";
import * as twin from "../twins/sampling.js";

/** Logits with ties, NaN and infinities among them. */
const logit = fc.oneof(
  { weight: 6, arbitrary: fc.float({ min: -30, max: 30, noNaN: true, noDefaultInfinity: true }) },
  { weight: 2, arbitrary: fc.constantFrom(-1, 0, -0, 1, 2) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3.4e38, -3.4e38, 1e-40),
  },
);
const logits = fc.array(logit, { minLength: 1, maxLength: 70 }).map((values) => Float32Array.from(values));

for (const build of runnableBuilds) {
  const bench = new Bench(build);
  const { kernels } = bench;

  test(`argmax_f32 and top_n_f32 (${build}) order by value, then id`, () => {
    fc.assert(
      fc.property(logits, fc.integer({ min: 1, max: 80 }), (x, n) => {
        bench.reset();
        const at = bench.put(x);
        assert.is(kernels.argmax_f32(at, x.length), twin.argmax(x));
        const values = bench.alloc(n * 4);
        const ids = bench.alloc(n * 4);
        const count = kernels.top_n_f32(values, ids, at, x.length, n);
        const expected = twin.topN(x, n);
        assert.equal(
          [...bench.i32(ids, count)],
          expected.map(({ id }) => id),
        );
        assert.equal(
          [...bench.f32(values, count)],
          expected.map(({ value }) => value),
        );
      }),
      { numRuns: 500 },
    );
  });

  test(`sum_exp_f32 (${build}) is the twin's sum, bit for bit`, () => {
    fc.assert(
      fc.property(logits, fc.double({ min: 0.01, max: 5, noNaN: true }), (x, temperature) => {
        bench.reset();
        const largest = x[twin.argmax(x)] ?? 0;
        assert.is(
          kernels.sum_exp_f32(bench.put(x), x.length, largest, temperature),
          twin.sumExp(x, largest, temperature),
        );
      }),
      { numRuns: 500 },
    );
  });

  test(`logprob_f32 and token_logprobs (${build}) agree with Math.log, rows are independent`, () => {
    fc.assert(
      fc.property(logits, fc.nat(), fc.nat(), (x, i, j) => {
        bench.reset();
        const ids = Int32Array.of(i % x.length, j % x.length);
        const at = bench.put(Float32Array.from([...x, ...x]));
        const out = bench.alloc(8);
        const best = bench.alloc(8);
        kernels.token_logprobs(out, best, at, bench.put(ids), 2, x.length);
        assert.equal([...bench.i32(best, 2)], [twin.argmax(x), twin.argmax(x)]);
        for (const row of [0, 1]) {
          const expected = twin.logprob(x, ids[row]!);
          const actual = bench.f32(out, 2)[row]!;
          assert.ok(Object.is(actual, kernels.logprob_f32(at, x.length, ids[row]!)));
          assert.ok(
            Object.is(actual, expected) || Math.abs(actual - expected) <= 1e-6 * Math.max(1, Math.abs(expected)),
            `${actual} against ${expected}`,
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  test(`logsumexp_f32 (${build}) is within 1e-12 of the exact one for equal logits`, () => {
    for (const count of [1, 2, 3, 5, 7, 11, 1000, 4096, 100_003]) {
      bench.reset();
      const actual = kernels.logsumexp_f32(bench.put(new Float32Array(count).fill(2.5)), count);
      const expected = 2.5 + Math.log(count);
      assert.ok(Math.abs(actual - expected) <= 1e-12 * expected, `${count}: ${actual} against ${expected}`);
    }
  });

  test(`repetition_penalty_f32 (${build}) divides what is positive and multiplies the rest`, () => {
    fc.assert(
      fc.property(logits, fc.array(fc.nat()), fc.float({ min: 0.5, max: 4, noNaN: true }), (x, picks, penalty) => {
        bench.reset();
        const ids = [...new Set(picks.map((pick) => pick % x.length))];
        const at = bench.put(x);
        kernels.repetition_penalty_f32(at, bench.put(Int32Array.from(ids)), ids.length, penalty);
        assert.equal([...bench.f32(at, x.length)], [...twin.penalise(x, ids, penalty)]);
      }),
    );
  });

  test(`random_f64 (${build}) is PCG32`, () => {
    bench.reset();
    const state = bench.alloc(16);
    for (const seed of [0, 1, 42, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER]) {
      kernels.random_seed(state, (seed % 2 ** 32) | 0, Math.floor(seed / 2 ** 32));
      const random = new twin.Random(seed);
      for (let i = 0; i < 100; i++) assert.is(kernels.random_f64(state), random.uniform());
    }
  });
}

test.run();
