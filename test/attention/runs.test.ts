import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { AttentionOptions } from "#src/attention/options.js";
import { resolveAttention } from "#src/attention/resolve.js";
import { attentionWork } from "#src/attention/scratch.js";
import { SessionError } from "#src/errors.js";
import { storeKeysValues } from "#src/kv/store.js";
import { runnableBuilds } from "../helpers/kernels.js";
import type { Shape } from "../twins/attention.js";
import { deltaAttentionF64, headRows, runsAttentionF64 } from "../twins/delta.js";
import { expected, fakeCalibration, shapes } from "./delta-data.js";
import { config, firstDifference, Rig, random, randomArray } from "./harness.js";

type Data = readonly [queries: Float32Array, keys: Float32Array, values: Float32Array];

/** Keys that come again and again: runs of 1 to `longest` tokens, with a little noise. */
function repeating(shape: Shape, tokens: number, seed: number, longest: number): Data {
  const { heads, kvHeads, headDim } = shape;
  const size = kvHeads * headDim;
  const keys = randomArray(tokens * size, seed);
  const next = random(seed + 3);
  for (let head = 0; head < kvHeads; head++) {
    let left = 0;
    for (let t = 0; t < tokens; t++) {
      if (left-- > 0)
        for (let i = head * headDim; i < (head + 1) * headDim; i++)
          keys[t * size + i] = (keys[(t - 1) * size + i] as number) + 0.001 * (keys[t * size + i] as number);
      else left = Math.floor((Math.abs(next()) * longest) / 2);
    }
  }
  return [randomArray(tokens * heads * headDim, seed + 1), keys, randomArray(tokens * size, seed + 2)];
}

const policies = fc.record({
  basis: fc.constantFrom("raw" as const, "score" as const),
  window: fc.constantFrom(1, 64, 100),
  windowScale: fc.constantFrom(0, 0.05, 0.2),
  windowShape: fc.constantFrom("sliding" as const, "block" as const),
  sink: fc.constantFrom(0, 1, 4, 70),
  threshold: fc.constantFrom(0.2, 1, 5),
});
const cut = (data: Data, shape: Shape, from: number, to: number): [Float32Array, Float32Array, Float32Array] => {
  const [q, k] = [shape.heads * shape.headDim, shape.kvHeads * shape.headDim];
  return [data[0].slice(from * q, to * q), data[1].slice(from * k, to * k), data[2].slice(from * k, to * k)];
};
const row = { kind: "delta", grain: "row" } as const;
const shape = { heads: 4, kvHeads: 2, headDim: 32 };
const build = runnableBuilds.at(-1) ?? "simd";
const plain = (tokens: number, more: AttentionOptions = {}) =>
  new Rig(build, shape, tokens, {
    kind: "int8",
    attention: { ...row, threshold: 1, calibration: fakeCalibration(shape, 1), ...more },
  });

for (const build of runnableBuilds) {
  test(`merged attention is the attention of its definition (${build})`, () => {
    fc.assert(
      fc.property(
        shapes,
        policies,
        fc.integer({ min: 320, max: 1300 }),
        fc.constantFrom(3, 20, 400),
        fc.nat(),
        (shape, policy, tokens, longest, seed) => {
          const data = repeating(shape, tokens, seed, longest);
          const attention: AttentionOptions = { ...row, calibration: fakeCalibration(shape, seed), ...policy };
          const rig = new Rig(build, shape, tokens, { kind: "int8", attention });
          const out = rig.run(...data);
          const { windowStart } = resolveAttention(attention, config(shape), tokens);
          const { heads, kvHeads, headDim } = shape;
          const t = tokens - 1;
          const merged = Math.floor(Math.max(0, Math.min(windowStart(t), t - 63)) / 256) * 256;
          for (let kv = 0; kv < kvHeads; kv++) {
            const walked = expected(shape, attention, data[1], kv);
            const at = (t * heads + (kv * heads) / kvHeads) * headDim;
            const q = data[0].slice(at, at + headDim);
            const mapped = walked.steps.map((step, i) =>
              walked.matrix
                ? step * q.reduce((sum, x, j) => sum + x * (walked.basis?.inverse[i * headDim + j] as number), 0)
                : step * (q[i] as number),
            );
            const values = headRows(data[2], shape, kv);
            const same = [mapped, walked.codes, walked.rows, values, windowStart(t), policy.sink] as const;
            const exact = runsAttentionF64(...same, merged);
            const unmerged = deltaAttentionF64(...same);
            exact.forEach((x, i) => {
              assert.ok(Math.abs(x - (unmerged[i] as number)) < 1e-9, "merging changes nothing but rounding");
              assert.ok(Math.abs(x - (out[at + i] as number)) < 0.12, `off by ${x - (out[at + i] as number)}`);
            });
          }
        },
      ),
      { numRuns: 10 },
    );
  });

  test(`merged attention: any chunks, any threads, the same bits and counters (${build})`, () => {
    fc.assert(
      fc.property(
        shapes,
        policies,
        fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 300 }), fc.constant(640)), {
          minLength: 2,
          maxLength: 6,
        }),
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom(0, 0.01),
        fc.nat(),
        (shape, policy, sizes, threads, valueCutoff, seed) => {
          const tokens = sizes.reduce((a, b) => a + b, 600);
          const data = repeating(shape, tokens, seed, 6);
          const attention = { ...row, calibration: fakeCalibration(shape, seed), valueCutoff, ...policy };
          const once = new Rig(build, shape, tokens, { kind: "int8", attention });
          const parts = new Rig(build, shape, tokens, { kind: "int8", attention, threads });
          const chunks = [600, ...sizes].sort(() => (seed % 2 ? 1 : -1));
          assert.is(firstDifference(once.run(...data), parts.runChunks(...data, chunks)), -1);
          assert.is(once.cache.stats().kvBytes, parts.cache.stats().kvBytes);
        },
      ),
      { numRuns: 8 },
    );
  });

  test(`without repetitions, and in heads whose θ is 0, merging has the bits of full attention (${build})`, () => {
    const shape = { heads: 6, kvHeads: 2, headDim: 48 };
    const [queries, keys, values] = repeating(shape, 1200, 4, 8);
    const calibration = fakeCalibration(shape, 4);
    const run = (attention: AttentionOptions, k = keys) => {
      const rig = new Rig(build, shape, 1200, { kind: "int8", attention: { calibration, ...attention } });
      return rig.run(queries, k, values);
    };
    for (const basis of ["raw", "score"] as const) {
      const fresh = randomArray(keys.length, 8);
      assert.is(firstDifference(run({ basis }, fresh), run({ ...row, basis, threshold: 0.01 }, fresh)), -1);
      const [full, mixed] = [run({ basis }), run({ ...row, basis, thresholds: [[0, 1]] })];
      const head = (x: Float32Array, from: number) => x.filter((_, i) => i % 288 < 144 === (from === 0));
      assert.is(firstDifference(head(full, 0), head(mixed, 0)), -1);
      assert.is.not(firstDifference(head(full, 1), head(mixed, 1)), -1);
    }
  });
}

test("values of runs are given back, and all memory with the cache", () => {
  const tokens = 4096;
  const data = repeating(shape, tokens, 3, 6);
  const rig = plain(tokens);
  const before = rig.memory.usedBytes;
  rig.run(...data);
  const { kvBytes, kvBytesFull, deltaSparsity, skippedMacs, bytesRead } = rig.cache.stats();
  assert.ok(deltaSparsity > 0.55 && deltaSparsity < 0.75, `${deltaSparsity}`);
  const share = 1 - deltaSparsity;
  // Window, slack and the span they reach into are whole; runs are kept in eights.
  assert.ok(kvBytes < (share + 0.17) * kvBytesFull, `${kvBytes} of ${kvBytesFull}, ${share}`);
  assert.ok(rig.cache.valueBytes < (share + 0.17) * 0.5 * kvBytesFull);
  assert.is(kvBytes, rig.cache.keyBytes + rig.cache.valueBytes);
  assert.ok(rig.memory.usedBytes - before < 1.01 * kvBytes, "really");
  assert.ok(skippedMacs > 0.3 && bytesRead < share + 0.15, `${skippedMacs} ${bytesRead}`);
  rig.cache.truncate(0);
  assert.is(rig.cache.keyBytes + rig.cache.valueBytes, 0);
  assert.is(rig.memory.usedBytes, before);
});

test("what was multiplied is counted", () => {
  // Every run has 4 keys: 64 runs in a span of 256.
  const data = repeating(shape, 1024, 3, 1);
  for (let i = 64; i < data[1].length; i++) if (Math.floor(i / 64) % 4) data[1][i] = data[1][i - 64] as number;
  const rig = plain(1025, { window: 256, windowScale: 0 });
  rig.run(...cut(data, shape, 0, 1023));
  const before = rig.cache.stats();
  rig.run(...cut(data, shape, 1023, 1024));
  const { heads } = rig.cache.stats();
  // 3 spans of 64 runs, and 256 keys of the window.
  assert.is(heads.find((head) => head.stage === "decode")?.skippedValues, 1 - (3 * 64 + 256) / 1024);
  assert.ok(before.skippedMacs > 0.2 && before.skippedMacs < 0.75);
});

test("a forward pass that was given up leaves no trace", () => {
  const data = repeating(shape, 1000, 7, 5);
  const rig = plain(1000);
  const whole = plain(1000).run(...data);
  const first = rig.run(...cut(data, shape, 0, 500));
  const foreign = randomArray(500 * 64, 9);
  const address = rig.memory.alloc(foreign.byteLength, "test");
  rig.memory.f32(address, foreign.length).set(foreign);
  rig.cache.reserve(500);
  const slice = { cache: rig.cache.descriptor, position: 500, tokens: 500, work: "prefill" } as const;
  for (const thread of rig.threads)
    storeKeysValues(thread, slice, 0, address, address, attentionWork(rig.scratch, thread, shape.headDim));
  rig.cache.truncate(500);
  const rest = rig.run(...cut(data, shape, 500, 1000));
  assert.is(firstDifference(whole, Float32Array.from([...first, ...rest])), -1);
});

test("truncation while both forms of a span exist; forks go on alone", () => {
  const data = repeating(shape, 1400, 7, 5);
  const whole = plain(1400).run(...data);
  const size = shape.heads * shape.headDim;
  const rig = plain(1400);
  for (let at = 0; at < 1400; at += 100) {
    rig.run(...cut(data, shape, at, at + 100));
    const kept = rig.cache.truncate(at + 88);
    assert.is(kept, at + 88, "within the slack nothing is computed again");
    const fork = rig.cache.fork();
    const again = rig.run(...cut(data, shape, kept, at + 100));
    assert.is(firstDifference(whole.slice(kept * size, (at + 100) * size), again), -1);
    const origin = rig.cache;
    rig.cache = fork;
    assert.is(firstDifference(again, rig.run(...cut(data, shape, kept, at + 100))), -1);
    origin.dispose();
  }
});

test("merged sessions are saved and restored, also into other windows; damage is refused", () => {
  const data = repeating(shape, 1500, 7, 5);
  const rig = plain(1500);
  rig.run(...cut(data, shape, 0, 1400));
  const saved = rig.cache.save();
  const { kvBytes } = rig.cache.stats();
  const next = rig.run(...cut(data, shape, 1400, 1500));
  const restored = plain(1500);
  restored.cache.restore(saved);
  assert.is(restored.cache.stats().kvBytes, kvBytes);
  assert.is(firstDifference(next, restored.run(...cut(data, shape, 1400, 1500))), -1);
  const other = plain(1500, { window: 110 });
  other.cache.restore(saved);
  const alone = plain(1500, { window: 110 });
  alone.run(...cut(data, shape, 0, 1400));
  const tail = cut(data, shape, 1400, 1500);
  assert.is(firstDifference(alone.run(...tail), other.run(...tail)), -1);
  const refused = (error: unknown) => error instanceof SessionError;
  assert.throws(() => plain(1500, { window: 1000 }).cache.restore(saved), refused);
  for (const at of [60, 64, 65, 80, 52, 53]) {
    const damaged = saved.slice();
    damaged[at] = (damaged[at] as number) ^ 255;
    assert.throws(() => plain(1500).cache.restore(damaged), refused);
  }
});

test.run();
