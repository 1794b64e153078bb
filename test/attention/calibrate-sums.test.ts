import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { addDots, addOuterProducts, mapKeys } from "#src/calibration/products.js";
import { droppedShares, WALKS } from "#src/calibration/walk.js";
import { random } from "./harness.js";

const clamp = (x: number) => Math.max(-63, Math.min(63, Math.round(x)));
const numbers = (count: number, seed: number) => Float64Array.from({ length: count }, random(seed));

test("products of many rows have the bits of one plain loop per sum", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 0, max: 9 }),
      fc.nat(6),
      fc.nat(),
      (rows, count, first, seed) => {
        const d = 16;
        const [a, b] = [numbers(rows * d, seed), numbers(9 * d, seed + 1)];
        const out = numbers(4 * 9, seed + 2);
        const expected = out.slice();
        for (let r = 0; r < 4 && first + r < rows; r++)
          for (let t = 0; t < count; t++)
            for (let i = 3; i < 11; i++)
              (expected[r * 9 + t] as number) += (a[(first + r) * d + i] as number) * (b[t * d + i] as number);
        addDots(out, a, first, b, count, { d, from: 3, to: 11 });
        for (let r = 0; r < 4 && first + r < rows; r++)
          assert.equal(out.slice(r * 9, r * 9 + 9), expected.slice(r * 9, r * 9 + 9));
      },
    ),
  );
  const [d, tokens] = [6, 7];
  const [matrix, keys] = [numbers(d * d, 1), numbers(tokens * d, 2)];
  const mapped = mapKeys(matrix, keys, d);
  const sums = numbers(d * d, 3);
  const expected = sums.slice();
  for (let t = 0; t < tokens; t++)
    for (let i = 0; i < d; i++) {
      let sum = 0;
      for (let j = 0; j < d; j++) sum += (matrix[i * d + j] as number) * (keys[t * d + j] as number);
      assert.is(mapped[t * d + i], sum);
      for (let j = i; j < d; j++)
        (expected[i * d + j] as number) += (keys[t * d + i] as number) * (keys[t * d + j] as number);
    }
  addOuterProducts(sums, keys, keys, d);
  assert.equal(sums, expected);
});

test("four walks at a time drop what the plain walk of delta attention drops, in every grain", () => {
  fc.assert(
    fc.property(fc.constantFrom(1, 16, 32), fc.integer({ min: 1, max: 40 }), fc.nat(), (size, tokens, seed) => {
      const d = 32;
      const next = random(seed);
      const steps = Array.from({ length: d }, () => Math.abs(next()) + 1e-3);
      const windows = [tokens, 3].map((count) => Int16Array.from({ length: count * d }, () => clamp(next() * 30)));
      const thetas = Array.from({ length: WALKS }, (_, i) => i * Math.abs(next()) * 40 * Math.sqrt(size));
      const shares = droppedShares(windows, steps, size)(thetas);
      thetas.forEach((theta, w) => {
        let [dropped, seen] = [0, 0];
        for (const codes of windows) {
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
    }),
  );
});

test.run();
