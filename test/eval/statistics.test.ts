import { test } from "uvu";
import * as assert from "uvu/assert";
import { bootstrapMean, bootstrapRatio, quantile } from "#src/eval/statistics/bootstrap.js";
import { mcnemarExact } from "#src/eval/statistics/mcnemar.js";
import { createRandom } from "#src/eval/statistics/random.js";
import { wilsonInterval } from "#src/eval/statistics/wilson.js";

const near = (actual: number, expected: number, tolerance = 1e-4) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual}, expected ${expected}`);

test("Wilson intervals of the textbooks", () => {
  for (const [successes, n, low, high] of [
    [81, 263, 0.2553, 0.3662], // Newcombe 1998, table I, method 3
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
    [20, 20, 0.8389, 1],
  ] as const) {
    const [from, to] = wilsonInterval(successes, n);
    near(from, low);
    near(to, high);
  }
  assert.equal(wilsonInterval(0, 0), [0, 1]);
});

test("exact McNemar test", () => {
  // Sums of binomial coefficients over powers of two.
  assert.is(mcnemarExact(0, 0), 1);
  near(mcnemarExact(0, 5), 2 / 32, 1e-12);
  near(mcnemarExact(5, 0), 2 / 32, 1e-12);
  near(mcnemarExact(1, 9), (2 * (1 + 10)) / 1024, 1e-12);
  near(mcnemarExact(2, 8), (2 * (1 + 10 + 45)) / 1024, 1e-12);
  assert.is(mcnemarExact(4, 4), 1);
  near(mcnemarExact(900, 1000), 0.0231, 5e-4);
  assert.ok(mcnemarExact(0, 3000) >= 0);
});

test("random numbers are fixed by the seed and evenly spread", () => {
  const [one, again, other] = [createRandom(7), createRandom(7), createRandom(2 ** 40 + 7)];
  const values = Array.from({ length: 10_000 }, one);
  assert.equal(Array.from({ length: 10_000 }, again), values);
  assert.is.not(other(), values[0]);
  assert.ok(values.every((value) => value >= 0 && value < 1));
  near(values.reduce((sum, value) => sum + value, 0) / values.length, 0.5, 0.01);
  near(values.filter((value) => value < 0.1).length / values.length, 0.1, 0.01);
});

test("bootstrap intervals", () => {
  const random = createRandom(3);
  const values = Array.from({ length: 400 }, () => random() * 2);
  const mean = values.reduce((sum, value) => sum + value, 0) / 400;
  const [low, high] = bootstrapMean(values) as [number, number];
  // Standard error of the mean: 2 / √12 / √400.
  near(low, mean - 1.96 * 0.02887, 0.006);
  near(high, mean + 1.96 * 0.02887, 0.006);
  assert.equal(bootstrapMean(values), [low, high]);
  assert.not.equal(bootstrapMean(values, { seed: 1 }), [low, high]);
  assert.equal(bootstrapMean([3, 3, 3]), [3, 3]);
  assert.is(bootstrapMean([]), undefined);
  // Rows of different weight that agree leave no room.
  assert.equal(bootstrapRatio([2, 4, 20], [1, 2, 10]), [2, 2]);
});

test("quantiles lie between their neighbours", () => {
  assert.is(quantile([1, 2, 3, 4], 0.5), 2.5);
  assert.is(quantile([1, 2, 3, 4], 0), 1);
  assert.is(quantile([1, 2, 3, 4], 1), 4);
  assert.is(quantile([5], 0.3), 5);
});

test.run();
