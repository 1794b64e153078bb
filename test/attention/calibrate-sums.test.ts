import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { addOuterProducts, fourRows, mapKeys } from "#src/calibration/products.js";
import { codesOf, droppedShares, WALKS } from "#src/calibration/walk.js";
import { Workspace } from "#src/calibration/workspace.js";
import { Bench, runnableBuilds } from "../helpers/kernels.js";
import {
  calibrationCodes,
  calibrationDots,
  calibrationOuter,
  calibrationOutputs,
  calibrationSquares,
  calibrationWalkBlock,
  calibrationWalkElements,
  calibrationWeights,
} from "../twins/calibration.js";
import { random } from "./harness.js";

/** Between −1 and 1. */
function numbers(count: number, seed: number): Float64Array {
  const next = random(seed);
  return Float64Array.from({ length: count }, () => next() / 3.5);
}
const small = (least: number, most: number) => fc.integer({ min: least, max: most });

for (const build of runnableBuilds) {
  const bench = new Bench(build);
  const { kernels } = bench;
  const put = (list: Float64Array) => bench.put(new Uint8Array(list.buffer.slice(0)));
  const f64 = (at: number, length: number) => new Float64Array(bench.memory.buffer, at, length).slice();
  const check = (name: string, property: fc.IRawProperty<unknown>) =>
    test(`${name} (${build}) has the bits of its twin`, () => fc.assert(property));

  check(
    "calibration_dots",
    fc.property(small(0, 9), fc.constantFrom(16, 32), fc.boolean(), fc.nat(), (count, d, more, seed) => {
      bench.reset();
      const [from, to, width] = [more ? 5 : 0, d - 3, 6];
      const [out, rows, keys] = [numbers(count * width, seed), numbers(4 * d, seed + 1), numbers(count * d, seed + 2)];
      const at = put(out);
      kernels.calibration_dots(at, 8 * width, put(rows), put(keys), count, from, to, d);
      calibrationDots(out, width, rows, keys, { from, to, d });
      assert.equal(f64(at, out.length), out);
    }),
  );

  check(
    "calibration_outer",
    fc.property(small(0, 9), fc.constantFrom(2, 6, 16), fc.nat(), (rows, d, seed) => {
      bench.reset();
      const [sums, x, scaled] = [numbers(d * d, seed), numbers(rows * d, seed + 1), numbers(rows * d, seed + 2)];
      const at = put(sums);
      kernels.calibration_outer(at, put(x), put(scaled), rows, d);
      const got = f64(at, d * d);
      calibrationOuter(sums, x, scaled, d);
      for (let i = 0; i < d; i++) assert.equal(got.slice(i * d + i, (i + 1) * d), sums.slice(i * d + i, (i + 1) * d));
    }),
  );

  check(
    "calibration_codes",
    fc.property(small(1, 9), fc.constantFrom(2, 16), fc.nat(), (tokens, d, seed) => {
      bench.reset();
      // Halves too, and what lies off the grid.
      const keys = numbers(tokens * d, seed).map((x, i) => (i % 3 ? x * 40 : Math.round(x * 140) / 2));
      const centers = numbers(d, seed + 1).map((x, i) => (i % 2 ? x : 0));
      const steps = numbers(d, seed + 2).map((x, i) => (i % 2 ? Math.abs(x) + 0.1 : 1));
      const [bytes, codes] = [bench.alloc(tokens * d), bench.alloc(8 * tokens * d)];
      kernels.calibration_codes(bytes, codes, put(keys), put(centers), put(steps), tokens, d);
      const expected = calibrationCodes(keys, centers, steps);
      assert.equal(bench.i8(bytes, tokens * d).slice(), Int8Array.from(expected));
      assert.equal(
        f64(codes, tokens * d).map((x) => x + 0),
        expected.map((x) => x + 0),
      );
    }),
  );

  check(
    "calibration_walk_elements",
    fc.property(small(1, 300), fc.constantFrom(16, 32), fc.nat(), (tokens, d, seed) => {
      bench.reset();
      const codes = Int8Array.from(numbers(tokens * d, seed), (x) => Math.round(x * 63));
      const most = Int8Array.from(numbers(d, seed + 1), (x) => Math.abs(Math.round(x * 126)));
      const kept = kernels.calibration_walk_elements(bench.put(codes), bench.put(most), tokens, d);
      assert.is(kept, calibrationWalkElements(codes, most));
    }),
  );

  check(
    "calibration_walk_block",
    fc.property(small(1, 60), fc.constantFrom(4, 16), fc.nat(), (tokens, size, seed) => {
      bench.reset();
      const d = 16;
      const codes = numbers(tokens * d, seed).map((x) => Math.round(x * 63));
      const [squares, limits] = [numbers(size, seed + 1).map(Math.abs), numbers(4, seed + 2).map((x) => x * x * 9000)];
      const kept = bench.alloc(32);
      const work = bench.alloc(32 * size);
      kernels.calibration_walk_block(kept, put(codes), work, put(squares), put(limits), tokens, size, d);
      assert.equal(Array.from(f64(kept, 4)), calibrationWalkBlock(codes, squares, limits, d));
    }),
  );

  check(
    "calibration_weights, then calibration_squares,",
    fc.property(small(1, 40), fc.nat(), (count, seed) => {
      bench.reset();
      const x = numbers(4 * count, seed).map((y) => y * 300);
      const [at, totals] = [put(x), bench.alloc(32)];
      kernels.calibration_weights(at, count, 0.125, totals);
      const sums = calibrationWeights(x, 0.125);
      assert.equal(f64(at, x.length), x);
      assert.equal(Array.from(f64(totals, 4)), sums);
      assert.is(
        kernels.calibration_squares(at + 8, count, sums[1] as number, 0.5),
        calibrationSquares(x, 1, sums[1] as number, 0.5),
      );
    }),
  );

  check(
    "calibration_outputs",
    fc.property(small(0, 9), fc.constantFrom(2, 16), fc.nat(), (groups, d, seed) => {
      bench.reset();
      const weights = numbers(16 * groups, seed).map((x) => (Math.abs(x) < 0.1 ? 1e-10 : Math.abs(x)));
      const buckets = Uint8Array.from(numbers(groups, seed + 1), (x) => Math.floor(Math.abs(x) * 4));
      const values = Float32Array.from(numbers(4 * groups * d, seed + 2));
      const out = new Float64Array(4 * (d + 2));
      const at = put(out);
      kernels.calibration_outputs(at, put(weights), bench.put(buckets), bench.put(values), groups, d);
      calibrationOutputs(out, weights, buckets, values, d);
      assert.equal(f64(at, out.length), out);
    }),
  );
}

test("keys are mapped row by row, and a last group of fewer than four rows is filled with 0", () => {
  const [d, tokens] = [8, 7];
  const space = new Workspace(1 << 16);
  const [matrix, keys] = [space.copy(numbers(d * d, 1)), space.copy(numbers(tokens * d, 2))];
  const mapped = mapKeys(space, matrix, keys, d);
  for (let t = 0; t < tokens; t++)
    for (let i = 0; i < d; i++) {
      let sum = 0;
      for (let j = 0; j < d; j++) sum += (matrix[i * d + j] as number) * (keys[t * d + j] as number);
      assert.is(mapped[t * d + i], sum);
    }
  const rows = fourRows(space, keys, 5, d);
  for (let i = 0; i < d; i++)
    assert.equal(Array.from(rows.subarray(4 * i, 4 * i + 4)), [keys[5 * d + i], keys[6 * d + i], 0, 0]);
  const sums = space.copy(numbers(d * d, 3));
  const before = sums.slice();
  addOuterProducts(space, sums, keys, keys, d);
  calibrationOuter(before, keys, keys, d);
  assert.equal(sums.slice(0, d), before.slice(0, d));
  assert.throws(() => space.within(() => space.numbers(1 << 16)), /too small/);
  space.numbers(1);
  space.dispose();
});

test("four walks at a time drop what the plain walk of delta attention drops, in every grain", () => {
  const space = new Workspace(1 << 20);
  fc.assert(
    fc.property(fc.constantFrom(1, 16, 32), small(1, 40), fc.nat(), (size, tokens, seed) => {
      const d = 32;
      const next = random(seed);
      const steps = Array.from({ length: d }, () => Math.abs(next()) + 1e-3);
      const none = new Float64Array(d);
      const thetas = Array.from({ length: WALKS }, (_, i) => i * Math.abs(next()) * 40 * Math.sqrt(size));
      space.within(() => {
        const windows = [tokens, 3].map((count) =>
          codesOf(
            space,
            space.copy(Float64Array.from({ length: count * d }, (_, i) => next() * 30 * (steps[i % d] as number))),
            steps,
            none,
          ),
        );
        const shares = droppedShares(space, windows, steps, size)(thetas);
        thetas.forEach((theta, w) => {
          let [dropped, seen] = [0, 0];
          for (const { numbers: codes } of windows) {
            const reference = codes.slice(0, d);
            seen += codes.length;
            for (let at = d; at < codes.length; at += d)
              for (let from = 0; from < d; from += size) {
                let sum = 0;
                for (let i = from; i < from + size; i++) {
                  const e = (codes[at + i] as number) - (reference[i] as number);
                  sum += e * e * ((steps[i] as number) * (steps[i] as number));
                }
                if (sum > theta * theta) reference.set(codes.subarray(at + from, at + from + size), from);
                else dropped += size;
              }
          }
          assert.is(shares[w], dropped / seen);
        });
      });
    }),
  );
});

test.run();
