import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runnableBuilds } from "../helpers/kernels.js";
import { fakeCalibration } from "./delta-data.js";
import { firstDifference, Rig, randomArray } from "./harness.js";

const shape = { heads: 6, kvHeads: 2, headDim: 32 };
const data = (tokens: number, seed: number): [Float32Array, Float32Array, Float32Array] => [
  randomArray(tokens * 192, seed),
  randomArray(tokens * 64, seed + 1),
  randomArray(tokens * 64, seed + 2),
];

/** Attention of head `h` of token `t` to the keys `from` … `to`, in f64. */
function exact([q, k, v]: readonly Float32Array[], t: number, h: number, from: number, to: number): number[] {
  const at = (x: Float32Array | undefined, base: number, i: number) => x?.[base + i] as number;
  const kv = Math.floor(h / 3);
  const scores = Array.from({ length: to - from + 1 }, (_, j) => {
    let sum = 0;
    for (let i = 0; i < 32; i++) sum += at(q, (t * 6 + h) * 32, i) * at(k, ((from + j) * 2 + kv) * 32, i);
    return sum / Math.sqrt(32);
  });
  const top = Math.max(...scores);
  const weights = scores.map((x) => Math.exp(x - top));
  const total = weights.reduce((a, b) => a + b, 0);
  return Array.from({ length: 32 }, (_, i) =>
    weights.reduce((sum, w, j) => sum + (w / total) * at(v, ((from + j) * 2 + kv) * 32, i), 0),
  );
}

for (const build of runnableBuilds)
  for (const kind of ["int8", "f32"] as const) {
    test(`${kind}: a query of a layer with a window sees that many keys, in any chunks and threads (${build})`, () => {
      fc.assert(
        fc.property(
          fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 300 }), fc.constant(600)), {
            minLength: 1,
            maxLength: 4,
          }),
          fc.constantFrom(1, 5, 64, 100, 512, 700),
          fc.integer({ min: 1, max: 3 }),
          fc.constantFrom(0, 0.001),
          fc.nat(),
          (sizes, window, threads, cutoff, seed) => {
            const tokens = sizes.reduce((a, b) => a + b, 0);
            const values = data(tokens, seed);
            const attention = kind === "int8" ? { valueCutoff: cutoff } : {};
            const once = new Rig(build, shape, tokens, { kind, attention, windows: [window] });
            const parts = new Rig(build, shape, tokens, { kind, attention, windows: [window], threads });
            const out = once.run(...values);
            assert.is(firstDifference(out, parts.runChunks(...values, sizes)), -1);
            if (cutoff === 0)
              for (const t of [0, Math.floor(tokens / 2), tokens - 1])
                exact(values, t, 4, Math.max(0, t + 1 - window), t).forEach((x, i) => {
                  assert.ok(Math.abs(x - (out[(t * 6 + 4) * 32 + i] as number)) < (kind === "f32" ? 1e-4 : 0.12));
                });
            const whole = new Rig(build, shape, tokens, { kind, attention });
            const wide = new Rig(build, shape, tokens, { kind, attention, windows: [tokens] });
            // Values are skipped in layers without a window only.
            if (cutoff === 0)
              assert.is(firstDifference(whole.run(...values), wide.run(...values)), -1, "a window of all keys is none");
          },
        ),
        { numRuns: 8 },
      );
    });

    test(`${kind}: tokens that see all others of their slice (${build})`, () => {
      const values = data(620, 3);
      const [one, three] = [1, 3].map((threads) => {
        const rig = new Rig(build, shape, 620, { kind, threads });
        rig.sees = "all";
        return rig.run(...values);
      }) as [Float32Array, Float32Array];
      assert.is(firstDifference(one, three), -1);
      for (const t of [0, 300, 619])
        exact(values, t, 2, 0, 619).forEach((x, i) => {
          assert.ok(Math.abs(x - (one[(t * 6 + 2) * 32 + i] as number)) < (kind === "f32" ? 1e-4 : 0.12));
        });
    });
  }

for (const build of runnableBuilds) {
  test(`tokens that see all others of their slice in a window around them (${build})`, () => {
    for (const [kind, window] of [
      ["f32", 32],
      ["f32", 513],
      ["int8", 200],
    ] as const) {
      const values = data(620, 5);
      const [one, two] = [1, 2].map((threads) => {
        const rig = new Rig(build, shape, 620, { kind, threads, windows: [window] });
        rig.sees = "all";
        return rig.run(...values);
      }) as [Float32Array, Float32Array];
      assert.is(firstDifference(one, two), -1);
      const half = Math.floor(window / 2);
      for (const t of [0, 40, 300, 619])
        exact(values, t, 2, Math.max(0, t - half), Math.min(619, t + half)).forEach((x, i) => {
          assert.ok(Math.abs(x - (one[(t * 6 + 2) * 32 + i] as number)) < (kind === "f32" ? 1e-4 : 0.12));
        });
    }
  });

  test(`delta attention of threshold 0 has the bits of full attention in windows, too (${build})`, () => {
    const calibration = fakeCalibration(shape, 1);
    const values = data(700, 9);
    for (const basis of ["raw", "score"] as const)
      for (const window of [20, 100, 600]) {
        const full = new Rig(build, shape, 700, { kind: "int8", attention: { basis, calibration }, windows: [window] });
        const expected = full.run(...values);
        for (const grain of ["element", "chunk", "row"] as const) {
          const attention = {
            kind: "delta",
            basis,
            grain,
            threshold: 0,
            calibration,
            windowScale: 0,
            window: 16,
          } as const;
          const delta = new Rig(build, shape, 700, { kind: "int8", attention, windows: [window] });
          assert.is(firstDifference(delta.runChunks(...values, [300, 1, 64, 335]), expected), -1, `${grain} ${window}`);
        }
      }
  });

  test(`delta attention in windows does not depend on chunks and threads (${build})`, () => {
    const calibration = fakeCalibration(shape, 1);
    const values = data(700, 4);
    for (const grain of ["element", "chunk", "row"] as const) {
      const attention = { kind: "delta", grain, threshold: 0.3, calibration, windowScale: 0, window: 16 } as const;
      const rig = (threads: number) => new Rig(build, shape, 700, { kind: "int8", attention, windows: [150], threads });
      const expected = rig(1).run(...values);
      assert.is(firstDifference(rig(2).runChunks(...values, [290, 1, 1, 70, 338]), expected), -1, grain);
    }
  });
}

test.run();
