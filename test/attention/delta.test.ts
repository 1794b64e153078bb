import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { AttentionOptions } from "#src/attention/options.js";
import { resolveAttention } from "#src/attention/resolve.js";
import { SessionError } from "#src/errors.js";
import { runnableBuilds } from "../helpers/kernels.js";
import { attentionInt8, type Shape } from "../twins/attention.js";
import { deltaAttentionF64, headRows } from "../twins/delta.js";
import { expected, fakeCalibration, shapes, walk } from "./delta-data.js";
import { config, firstDifference, Rig } from "./harness.js";

const policies = fc.record({
  grain: fc.constantFrom("element" as const, "chunk" as const, "row" as const),
  basis: fc.constantFrom("raw" as const, "score" as const),
  window: fc.constantFrom(1, 16, 64, 100),
  windowScale: fc.constantFrom(0, 0.05, 0.2),
  windowShape: fc.constantFrom("sliding" as const, "block" as const),
  sink: fc.constantFrom(0, 1, 4, 70),
});
const chunks = fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 200 }), fc.constant(520)), {
  minLength: 1,
  maxLength: 6,
});
const lengths = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 300, max: 900 }));
const sum = (list: number[]) => list.reduce((a, b) => a + b, 0);
/** A threshold that drops about half of `walk`'s differences. */
const theta = (grain: string, shape: Shape) =>
  0.4 * Math.sqrt(grain === "element" ? 1 : grain === "chunk" ? 16 : shape.headDim);

for (const build of runnableBuilds) {
  test(`θ = 0 has the bits of full attention on the same grid (${build})`, () => {
    fc.assert(
      fc.property(shapes, policies, chunks, fc.nat(), (shape, policy, sizes, seed) => {
        const tokens = sum(sizes);
        const data = walk(shape, tokens, seed);
        const calibration = fakeCalibration(shape, seed);
        const { basis } = policy;
        const full = new Rig(build, shape, tokens, { kind: "int8", attention: { basis, calibration } });
        const delta = new Rig(build, shape, tokens, {
          kind: "int8",
          attention: { kind: "delta", threshold: 0, calibration, ...policy },
        });
        assert.is(firstDifference(full.run(...data), delta.runChunks(...data, sizes)), -1);
      }),
      { numRuns: 12 },
    );
  });

  test(`delta attention: any chunks, packed or not, any threads, the same bits (${build})`, () => {
    fc.assert(
      fc.property(
        shapes,
        policies,
        chunks,
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom(0, 0.01),
        fc.nat(),
        (shape, policy, sizes, threads, valueCutoff, seed) => {
          const tokens = sum(sizes);
          const data = walk(shape, tokens, seed);
          const attention: AttentionOptions = {
            kind: "delta",
            threshold: theta(policy.grain, shape),
            calibration: fakeCalibration(shape, seed),
            valueCutoff,
            ...policy,
          };
          const once = new Rig(build, shape, tokens, { kind: "int8", attention });
          const parts = new Rig(build, shape, tokens, { kind: "int8", attention, threads });
          assert.is(firstDifference(once.run(...data), parts.runChunks(...data, sizes)), -1);
          const [a, b] = [once.cache.stats(), parts.cache.stats()];
          assert.is(a.deltaSparsity, b.deltaSparsity);
          assert.ok(a.kvBytes >= 0 && b.kvBytes > 0);
        },
      ),
      { numRuns: 12 },
    );
  });

  test(`delta attention follows its definition: references, counters, outputs (${build})`, () => {
    fc.assert(
      fc.property(shapes, policies, lengths, fc.nat(), (shape, policy, tokens, seed) => {
        const [queries, keys, values] = walk(shape, tokens, seed);
        const attention: AttentionOptions = {
          kind: "delta",
          threshold: theta(policy.grain, shape),
          calibration: fakeCalibration(shape, seed),
          ...policy,
        };
        const rig = new Rig(build, shape, tokens, { kind: "int8", attention });
        const out = rig.run(queries, keys, values);
        const { windowStart } = resolveAttention(attention, config(shape), tokens);
        const { heads, kvHeads, headDim } = shape;
        let dropped = 0;
        for (let kv = 0; kv < kvHeads; kv++) {
          const walked = expected(shape, attention, keys, kv);
          dropped += walked.dropped;
          walked.rows.forEach((row, t) => {
            if (policy.grain === "element")
              row.forEach((code, i) => {
                const error = Math.abs(code - (walked.codes[t]?.[i] as number)) * (walked.steps[i] as number);
                assert.ok(error <= (attention.threshold as number) + 1e-9);
              });
          });
          const t = tokens - 1;
          const h = kv * (heads / kvHeads);
          const q = queries.slice((t * heads + h) * headDim, (t * heads + h + 1) * headDim);
          const mapped = walked.steps.map((step, i) =>
            walked.matrix
              ? step * sum(Array.from(q, (x, j) => x * (walked.basis?.inverse[i * headDim + j] as number)))
              : step * (q[i] as number),
          );
          const exact = deltaAttentionF64(
            mapped,
            walked.codes,
            walked.rows,
            headRows(values, shape, kv),
            windowStart(t),
            policy.sink,
          );
          const onGrid = Float32Array.from(walked.steps, (step, i) => {
            const f = Math.fround;
            if (!walked.matrix) return f((q[i] as number) * f(step));
            const row = (j: number) => f((walked.basis?.inverse[i * headDim + j] as number) * step);
            return q.reduce((y, x, j) => f(y + f(x * row(j))), 0);
          });
          const used = walked.codes.map((code, j) =>
            j < policy.sink || j >= windowStart(t) ? code : (walked.rows[j] as number[]),
          );
          const merged = policy.grain === "row" ? Math.floor(Math.max(0, Math.min(windowStart(t), t - 63)) / 256) : 0;
          const twin = attentionInt8(onGrid, [], headRows(values, shape, kv), used, !walked.matrix, merged);
          const at = (t * heads + h) * headDim;
          assert.is(firstDifference(out.slice(at, at + headDim), twin), -1, "bits of the twin");
          const worst = Math.max(...exact.map((x, i) => Math.abs(x - (out[(t * heads + h) * headDim + i] as number))));
          assert.ok(worst < 0.12, `off by ${worst}`);
        }
        const { deltaSparsity } = rig.cache.stats();
        assert.is(deltaSparsity, dropped / (tokens * kvHeads * headDim));
      }),
      { numRuns: 15 },
    );
  });

  test(`a larger threshold never lowers the sparsity; packed caches shrink with it (${build})`, () => {
    const shape = { heads: 4, kvHeads: 2, headDim: 64 };
    // So many that no span is kept in both forms.
    const data = walk(shape, 1000, 5);
    for (const grain of ["element", "chunk", "row"] as const) {
      let [sparsity, bytes] = [-1, Number.POSITIVE_INFINITY];
      for (const factor of [0, 0.3, 1, 2, 4]) {
        const rig = new Rig(build, shape, 1000, {
          kind: "int8",
          attention: {
            kind: "delta",
            grain,
            basis: "score",
            threshold: factor * theta(grain, shape),
            calibration: fakeCalibration(shape, 1),
          },
        });
        rig.run(...data);
        const stats = rig.cache.stats();
        // A span in which every key is a run has 4 bytes more per key, and some for each head.
        const more = grain === "row" && factor === 0.3 ? 1000 * 2 * 4 + 300 : 0;
        assert.ok(
          stats.deltaSparsity >= sparsity && stats.kvBytes <= bytes + more,
          `${grain} ${factor}: ${stats.kvBytes}, before ${bytes}`,
        );
        [sparsity, bytes] = [stats.deltaSparsity, stats.kvBytes];
      }
      assert.ok(sparsity > 0.6 && bytes < 0.85 * 2 * 16 * 64 * 2 * 68, `${grain}: ${sparsity}, ${bytes}`);
    }
  });

  test(`chunk grain leaves out the products of chunks that did not change, element grain none (${build})`, () => {
    const shape = { heads: 4, kvHeads: 1, headDim: 64 };
    const data = walk(shape, 1000, 5);
    const skipped = (grain: "element" | "chunk", factor: number) => {
      const rig = new Rig(build, shape, 1000, {
        kind: "int8",
        attention: {
          kind: "delta",
          grain,
          window: 64,
          basis: "score",
          threshold: factor * theta(grain, shape),
          calibration: fakeCalibration(shape, 1),
        },
      });
      rig.runChunks(...data, new Array(10).fill(100));
      const { skippedMacs, deltaSparsity } = rig.cache.stats();
      // Half of the multiplications are PV's.
      assert.ok(skippedMacs <= deltaSparsity / 2, `${skippedMacs}, ${deltaSparsity}`);
      return skippedMacs;
    };
    assert.is(skipped("element", 1), 0);
    assert.ok(skipped("chunk", 1) > 0.05);
    assert.ok(skipped("chunk", 2) > skipped("chunk", 1));
  });

  test(`value skipping: small error, fewer values, cutoff 0 exact (${build})`, () => {
    const shape = { heads: 4, kvHeads: 1, headDim: 64 };
    const [queries, keys, values] = walk(shape, 1500, 3);
    const run = (valueCutoff: number) => {
      const rig = new Rig(build, shape, 1500, { kind: "int8", attention: { valueCutoff } });
      return {
        out: rig.run(
          queries.map((x) => x * 3),
          keys,
          values,
        ),
        stats: rig.cache.stats(),
      };
    };
    const full = run(0);
    assert.is(full.stats.skippedMacs, 0);
    const some = run(0.001);
    const worst = some.out.reduce((most, x, i) => Math.max(most, Math.abs(x - (full.out[i] as number))), 0);
    assert.ok(worst < 0.15, `off by ${worst}`);
    assert.ok(some.stats.skippedMacs > 0.02, `${some.stats.skippedMacs}`);
    assert.ok(run(0.05).stats.skippedMacs > some.stats.skippedMacs);
  });
}

for (const grain of ["element", "chunk", "row"] as const)
  test(`${grain}: forks, truncation, saved sessions of packed caches go on as if nothing had happened`, () => {
    const shape = { heads: 3, kvHeads: 1, headDim: 32 };
    const build = runnableBuilds.at(-1) ?? "simd";
    const attention: AttentionOptions = {
      kind: "delta",
      grain,
      basis: "score",
      threshold: theta(grain, shape),
      calibration: fakeCalibration(shape, 9),
    };
    const rig = () => new Rig(build, shape, 1000, { kind: "int8", attention });
    const [first, second] = [walk(shape, 700, 1), walk(shape, 80, 2)];
    const origin = rig();
    const out = origin.runChunks(...first, [300, 400]);
    const once = rig();
    assert.is(firstDifference(once.run(...first), out), -1);
    const saved = origin.cache.save();
    const fork = origin.cache.fork();
    const next = origin.run(...second);
    const restored = rig();
    restored.cache.restore(saved);
    assert.is(firstDifference(restored.run(...second), next), -1);
    // As a file is read by Node: somewhere in a larger buffer.
    const read = rig();
    read.cache.restore(Buffer.concat([Buffer.alloc(3), saved]).subarray(3));
    assert.is(firstDifference(read.run(...second), next), -1);
    origin.cache.dispose();
    origin.cache = fork;
    assert.is(firstDifference(origin.run(...second), next), -1);
    // 766 is in a page whose references are packed, and near enough to the end for whole keys.
    const tail = (x: Float32Array) => x.slice((x.length / 80) * 66);
    assert.is(origin.cache.truncate(766), 766);
    assert.is(firstDifference(origin.run(tail(second[0]), tail(second[1]), tail(second[2])), tail(next)), -1);
    assert.is(origin.cache.truncate(100), 0);
    assert.is(firstDifference(origin.run(...first), out), -1);
    for (let at = 0; at < saved.length; at += 97) {
      const damaged = saved.slice();
      damaged[at] = (damaged[at] as number) ^ 255;
      const other = rig();
      assert.throws(
        () => other.cache.restore(damaged),
        (error: unknown) => error instanceof SessionError,
      );
      assert.is(other.cache.length, 0);
    }
  });

test.run();
