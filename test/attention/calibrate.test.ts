import { test } from "uvu";
import * as assert from "uvu/assert";
import { attend } from "#src/attention/attend.js";
import { createCache } from "#src/attention/create-cache.js";
import { attentionScratchBytes } from "#src/attention/scratch.js";
import { calibrate } from "#src/calibration/calibrate.js";
import { farImportance } from "#src/calibration/importance.js";
import { readRecording } from "#src/calibration/record.js";
import type { RecordedHead } from "#src/calibration/recorded-head.js";
import { balancedThresholds } from "#src/calibration/thresholds.js";
import { Workspace } from "#src/calibration/workspace.js";
import { OptionError } from "#src/errors.js";
import { instantiateKernels, kernelModule } from "#src/kernels/instantiate.js";
import { decodeBasis } from "#src/kv/calibration.js";
import { storeKeysValues } from "#src/kv/store.js";
import { eigenSymmetric, invert, multiply } from "#src/kv/symmetric.js";
import { Memory } from "#src/memory/memory.js";
import { makeThread, RECORD_BYTES } from "#src/threads/thread.js";
import { walk } from "./delta-data.js";
import { config, Rig, random } from "./harness.js";

const shape = { heads: 4, kvHeads: 2, headDim: 32 };
const d = shape.headDim;
const table = new Float32Array(1024 * d).map((_, at) =>
  (at % d < d / 2 ? Math.cos : Math.sin)((Math.floor(at / d) + 1) / 500),
);
const rope = () => ({ table, turned: d });

function recordings(tokens: number) {
  const memory = new Memory({ shared: false });
  const kernels = instantiateKernels(kernelModule("simd"), memory.wasm);
  const thread = makeThread(kernels, memory.wasm, memory.alloc(RECORD_BYTES, "records"));
  const model = config(shape);
  const cache = createCache(memory, model, { kind: "f32", contextLength: tokens, attention: {}, record: true });
  const scratch = memory.alloc(attentionScratchBytes(model, tokens, 1), "scratch");
  const [queries, keys, values] = walk(shape, tokens, 4);
  const put = (x: Float32Array) => {
    const address = memory.alloc(x.byteLength, "test");
    memory.f32(address, x.length).set(x);
    return address;
  };
  const [q, k, v, out] = [put(queries), put(keys), put(values), put(queries)];
  cache.reserve(tokens);
  const slice = { cache: cache.descriptor, position: 0, tokens, work: "prefill" } as const;
  storeKeysValues(thread, slice, 0, k, v, scratch);
  attend(thread, slice, 0, out, q, scratch);
  cache.commit(tokens);
  return { recorded: readRecording(cache, memory), queries, keys };
}

test("eigenvalues, eigenvectors and inverses of random symmetric matrices", () => {
  const next = random(3);
  for (const n of [1, 2, 5, 32]) {
    const half = Float64Array.from({ length: n * n }, next);
    const matrix = half.map((x, at) => x + (half[(at % n) * n + Math.floor(at / n)] as number));
    const { values, vectors } = eigenSymmetric(matrix, n);
    const turned = vectors.map((_, at) => vectors[(at % n) * n + Math.floor(at / n)] as number);
    const scaled = vectors.map((x, at) => x * (values[Math.floor(at / n)] as number));
    multiply(turned, scaled, n).forEach((x, at) => {
      assert.ok(Math.abs(x - (matrix[at] as number)) < 1e-9);
    });
    values.forEach((x, i) => {
      assert.ok(i === 0 || x <= (values[i - 1] as number));
    });
    multiply(matrix, invert(matrix, n) as Float64Array, n).forEach((x, at) => {
      assert.ok(Math.abs(x - (at % (n + 1) ? 0 : 1)) < 1e-6);
    });
  }
  assert.is(invert(Float64Array.of(1, 2, 2, 4), 2), undefined);
});

test("a recording holds the keys and the sum of the queries' outer products", () => {
  const { recorded, queries, keys } = recordings(100);
  assert.is(recorded.length, 2);
  const head = recorded[1];
  assert.is(head?.queries, 200);
  assert.is(head?.keys[5 * d + 3], keys[(5 * 2 + 1) * d + 3]);
  let sum = 0;
  for (let t = 0; t < 100; t++)
    for (const h of [2, 3]) sum += (queries[(t * 4 + h) * d + 1] as number) * (queries[(t * 4 + h) * d + 7] as number);
  assert.ok(Math.abs((head?.queryMoments[d + 7] as number) - sum) < 1e-3);
  assert.is(head?.samples.length, 6 * 2 * d);
  assert.is(head?.samples[(3 * 2 + 1) * d + 9], queries[(63 * 4 + 3) * d + 9]);
});

test("the importance of a KV head is the mean sum of squared weights of its far keys", () => {
  const { recorded } = recordings(200);
  const head = recorded[0] as (typeof recorded)[number];
  let [sum, count] = [0, 0];
  for (let position = 79; position < 200; position += 16)
    for (const row of [0, 1]) {
      const query = head.samples.subarray((((position + 1) / 16 - 1) * 2 + row) * d).subarray(0, d);
      const weights = Array.from({ length: position + 1 }, (_, j) =>
        Math.exp(query.reduce((dot, x, i) => dot + x * (head.keys[j * d + i] as number), 0) / Math.sqrt(d)),
      );
      const total = weights.reduce((a, b) => a + b);
      sum += weights.slice(4, position - 64).reduce((a, x) => a + (x / total) ** 2, 0);
      count++;
    }
  const space = new Workspace(1 << 20);
  const importanceOf = (heads: readonly RecordedHead[]) =>
    farImportance(
      space,
      heads,
      heads.map(({ keys }) => space.copy(keys)),
      d,
    );
  const importance = importanceOf([head]);
  assert.ok(Math.abs(importance / (sum / count) - 1) < 0.02, `${importance} ${sum / count}`);
  assert.is(importanceOf(recordings(50).recorded.slice(0, 1)), 1);
});

test("balanced thresholds reach the target over all heads, and spare the important ones", () => {
  const curve = Array.from({ length: 40 }, (_, i) => ({ theta: i / 10, sparsity: Math.min(0.97, i / 30) }));
  const [low, high] = balancedThresholds([curve, curve], [0.01, 0.16]) as [number[], number[]];
  low.forEach((theta, at) => {
    assert.ok(Math.abs(theta / (high[at] as number) - 2) < 1e-6);
    const reached = (theta / 3 + (high[at] as number) / 3) / 2;
    if (theta / 3 < 0.97) assert.ok(Math.abs(reached - (at + 1) / 20) < 1e-6);
  });
});

test("calibrated thresholds reach their target sparsity, in every grain and basis, twice alike", () => {
  const { recorded } = recordings(600);
  const options = { model: "test", rope };
  const calibration = calibrate([recorded], config(shape), options);
  assert.equal(calibration, calibrate([recorded], config(shape), options));
  for (const grain of ["element", "chunk", "row"] as const)
    for (const basis of ["raw", "score"] as const)
      for (const targetSparsity of [0.3, 0.6]) {
        const rig = new Rig("simd", shape, 600, {
          kind: "int8",
          attention: { kind: "delta", grain, basis, targetSparsity, calibration },
        });
        rig.run(...walk(shape, 600, 4));
        const { deltaSparsity } = rig.cache.stats();
        assert.ok(
          Math.abs(deltaSparsity - targetSparsity) < 0.05,
          `${grain} ${basis} ${targetSparsity}: ${deltaSparsity}`,
        );
      }
});

test("in the score basis the square of a difference's length is the mean square of the logit error", () => {
  const { recorded } = recordings(600);
  const calibration = calibrate([recorded], config(shape), { model: "test", rope });
  const { basis, inverse } = decodeBasis(calibration.heads[0]?.basis ?? "", d);
  multiply(
    basis,
    inverse.map((_, at) => inverse[(at % d) * d + Math.floor(at / d)] as number),
    d,
  ).forEach((x, at) => {
    assert.ok(Math.abs(x - (at % (d + 1) ? 0 : 1)) < 1e-4);
  });
  const { queryMoments, queries } = recorded[0] as { queryMoments: Float64Array; queries: number };
  const difference = Float64Array.from({ length: d }, random(8));
  let [length, error] = [0, 0];
  for (let i = 0; i < d; i++) {
    let x = 0;
    for (let j = 0; j < d; j++) {
      x += (basis[i * d + j] as number) * (difference[j] as number);
      error +=
        ((queryMoments[i * d + j] as number) / queries / d) * (difference[i] as number) * (difference[j] as number);
    }
    length += x * x;
  }
  assert.ok(Math.abs(length / error - 1) < 0.02, `${length} ${error}`);
});

test("delta attention without a calibration, or with one of another shape, is refused", () => {
  const refused = (attention: object) =>
    assert.throws(
      () => new Rig("simd", shape, 100, { kind: "int8", attention }),
      (error: unknown) => error instanceof OptionError,
    );
  refused({ kind: "delta", threshold: 0.1 });
  const calibration = calibrate([recordings(300).recorded], config(shape), { model: "test", rope, score: false });
  refused({ kind: "delta", basis: "score", calibration });
  refused({ kind: "delta", calibration, threshold: -1 });
  refused({ kind: "delta", calibration, threshold: 1, targetSparsity: 0.5 });
  refused({ kind: "delta", calibration, window: 1.5 });
  refused({ kind: "delta", calibration: { ...calibration, headDim: 16 } });
  refused({ kind: "delta", calibration: { ...calibration, heads: [] } });
});

test.run();
