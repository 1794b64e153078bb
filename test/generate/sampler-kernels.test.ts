import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Repetition } from "#src/kernels/generated.js";
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

  test(`mask_f32 (${build}) leaves what is allowed and nothing else, in place too`, () => {
    fc.assert(
      fc.property(
        logits,
        fc.array(fc.oneof(fc.integer(), fc.constantFrom(0, -1)), { minLength: 3, maxLength: 3 }),
        (x, words) => {
          bench.reset();
          const at = bench.put(x);
          const out = bench.alloc(x.byteLength);
          const mask = bench.put(Int32Array.from(words));
          const expected = [...twin.mask(x, (id) => ((words[id >> 5]! >>> (id & 31)) & 1) === 1)];
          kernels.mask_f32(out, at, mask, x.length);
          assert.equal([...bench.f32(out, x.length)], expected);
          assert.equal([...bench.f32(at, x.length)], [...x]);
          kernels.mask_f32(at, at, mask, x.length);
          assert.equal([...bench.f32(at, x.length)], expected);
        },
      ),
      { numRuns: 300 },
    );
  });

  test(`add_at_f32 and presence_frequency_f32 (${build}) change the named logits`, () => {
    fc.assert(
      fc.property(
        logits,
        fc.array(fc.nat(), { maxLength: 20 }),
        fc.float({ min: -2, max: 2, noNaN: true }),
        fc.float({ min: -2, max: 2, noNaN: true }),
        (x, picks, presence, frequency) => {
          bench.reset();
          const history = picks.map((pick) => pick % x.length);
          const ids = [...new Set(history)];
          const idsAt = bench.put(Int32Array.from(ids));
          const counts = ids.map((id) => history.filter((other) => other === id).length);
          const at = bench.put(x);
          kernels.presence_frequency_f32(
            at,
            idsAt,
            bench.put(Int32Array.from(counts)),
            ids.length,
            presence,
            frequency,
          );
          assert.equal([...bench.f32(at, x.length)], [...twin.presenceFrequency(x, history, presence, frequency)]);
          const biases = Float32Array.from(ids, (_, i) => (i === 0 ? Number.NEGATIVE_INFINITY : i * 0.3));
          const other = bench.put(x);
          kernels.add_at_f32(other, idsAt, bench.put(biases), ids.length);
          const expected = Float32Array.from(x);
          ids.forEach((id, i) => {
            expected[id] = expected[id]! + biases[i]!;
          });
          assert.equal([...bench.f32(other, x.length)], [...expected]);
        },
      ),
      { numRuns: 300 },
    );
  });

  test(`dry_f32 (${build}) is the comparison of every place with the end`, () => {
    const token = fc.integer({ min: 0, max: 6 });
    fc.assert(
      fc.property(
        fc.array(token, { maxLength: 60 }),
        fc.uniqueArray(fc.integer({ min: 0, max: 4 }), { maxLength: 2 }),
        fc.record({
          allowed: fc.integer({ min: 1, max: 4 }),
          multiplier: fc.constantFrom(0.5, 0.8, 1e30),
          base: fc.constantFrom(1, 1.75, 1e20),
        }),
        (history, breakers, options) => {
          bench.reset();
          const x = Float32Array.of(1, 2, 3, 4, 5); // Tokens 5 and 6 are beyond the vocabulary.
          const at = bench.put(x);
          const scratch = bench.alloc((history.length + x.length) * 4);
          const mask = breakers.reduce((bits, id) => bits | (1 << id), 0);
          const record = bench.alloc(Repetition.bytes);
          Repetition.write(new DataView(bench.memory.buffer), record, {
            history: bench.put(Int32Array.from(history)),
            count: history.length,
            breakers: breakers.length ? bench.put(Int32Array.of(mask)) : 0,
            scratch,
            ...options,
          });
          kernels.dry_f32(at, x.length, record);
          assert.equal([...bench.f32(at, x.length)], [...twin.dry(x, history, (id) => breakers.includes(id), options)]);
          assert.equal([...bench.i32(scratch + history.length * 4, x.length)], [0, 0, 0, 0, 0]);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test(`typical_f32 (${build}) keeps what is nearest to the entropy`, () => {
    fc.assert(
      fc.property(
        logits,
        fc.double({ min: 0.05, max: 5, noNaN: true }),
        fc.double({ min: 0.001, max: 0.999, noNaN: true }),
        (x, temperature, typicalP) => {
          bench.reset();
          const candidates = twin.topN(x, x.length);
          if (candidates.length === 0) return;
          const values = bench.put(Float32Array.from(candidates, ({ value }) => value));
          const range = bench.alloc(8);
          kernels.typical_f32(range, values, candidates.length, temperature, typicalP);
          const [first, count] = bench.i32(range, 2) as unknown as [number, number];
          assert.equal(
            candidates.slice(first, first + count).map(({ id }) => id),
            twin.typical(candidates, temperature, typicalP).map(({ id }) => id),
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  test(`top_logprobs_f32 and logprob_given_f32 (${build}) are logprob_f32 of the likeliest`, () => {
    fc.assert(
      fc.property(logits, fc.integer({ min: 1, max: 9 }), (x, n) => {
        bench.reset();
        const at = bench.put(x);
        const sum = kernels.logsumexp_f32(at, x.length);
        const logprobs = bench.alloc(n * 4);
        const ids = bench.alloc(n * 4);
        const found = kernels.top_logprobs_f32(logprobs, ids, at, x.length, n, sum);
        assert.equal(
          [...bench.i32(ids, found)],
          twin.topN(x, n).map(({ id }) => id),
        );
        bench.i32(ids, found).forEach((id, i) => {
          assert.is(bench.f32(logprobs, found)[i], kernels.logprob_f32(at, x.length, id));
          assert.is(kernels.logprob_given_f32(at, id, sum), kernels.logprob_f32(at, x.length, id));
        });
      }),
      { numRuns: 300 },
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
