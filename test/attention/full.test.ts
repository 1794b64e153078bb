import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runnableBuilds } from "../helpers/kernels.js";
import { attentionF64, attentionInt8, type Shape } from "../twins/attention.js";
import { firstDifference, Rig, randomArray } from "./harness.js";

const shapes = fc
  .record({
    kvHeads: fc.integer({ min: 1, max: 3 }),
    group: fc.integer({ min: 1, max: 8 }),
    headDim: fc.constantFrom(16, 32, 48, 64, 80, 128),
  })
  .map(({ kvHeads, group, headDim }): Shape => ({ kvHeads, heads: kvHeads * group, headDim }));

function data(shape: Shape, tokens: number, seed: number): [Float32Array, Float32Array, Float32Array] {
  return [
    randomArray(tokens * shape.heads * shape.headDim, seed),
    randomArray(tokens * shape.kvHeads * shape.headDim, seed + 1),
    randomArray(tokens * shape.kvHeads * shape.headDim, seed + 2),
  ];
}

function head(x: Float32Array, token: number, heads: number, index: number, d: number): Float32Array {
  return x.slice((token * heads + index) * d, (token * heads + index + 1) * d);
}

for (const build of runnableBuilds) {
  test(`int8 attention has the bits of its scalar twin (${build})`, () => {
    fc.assert(
      fc.property(
        shapes,
        fc.oneof(fc.integer({ min: 1, max: 150 }), fc.integer({ min: 500, max: 1100 })),
        fc.nat(),
        (shape, tokens, seed) => {
          const { heads, kvHeads, headDim } = shape;
          const [queries, keys, values] = data(shape, tokens, seed);
          const rig = new Rig(build, shape, tokens, { kind: "int8" });
          const out = rig.run(queries, keys, values);
          for (const token of new Set([0, tokens >> 1, tokens - 1])) {
            const h = seed % heads;
            const kv = Math.floor(h / (heads / kvHeads));
            const rows = (x: Float32Array) =>
              Array.from({ length: token + 1 }, (_, t) => head(x, t, kvHeads, kv, headDim));
            const twin = attentionInt8(head(queries, token, heads, h, headDim), rows(keys), rows(values));
            assert.is(firstDifference(head(out, token, heads, h, headDim), twin), -1, `token ${token} head ${h}`);
          }
        },
      ),
      { numRuns: 10 },
    );
  });

  for (const kind of ["int8", "f32"] as const) {
    test(`${kind} attention is close to softmax attention in f64 (${build})`, () => {
      fc.assert(
        fc.property(shapes, fc.integer({ min: 1, max: 90 }), fc.nat(), (shape, tokens, seed) => {
          const [queries, keys, values] = data(shape, tokens, seed);
          const out = new Rig(build, shape, tokens, { kind }).run(queries, keys, values);
          const exact = attentionF64(shape, queries, keys, values, 0);
          const worst = out.reduce((most, x, i) => Math.max(most, Math.abs(x - (exact[i] as number))), 0);
          assert.ok(worst < (kind === "f32" ? 5e-6 : 0.3), `off by ${worst}`);
        }),
        { numRuns: 10 },
      );
    });

    test(`${kind} attention: any chunks, any threads, the same bits (${build})`, () => {
      fc.assert(
        fc.property(
          shapes,
          fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 200 }), fc.constant(520)), {
            minLength: 1,
            maxLength: 6,
          }),
          fc.integer({ min: 1, max: 5 }),
          fc.nat(),
          (shape, chunks, threads, seed) => {
            const tokens = chunks.reduce((a, b) => a + b, 0);
            const [queries, keys, values] = data(shape, tokens, seed);
            const once = new Rig(build, shape, tokens, { kind }).run(queries, keys, values);
            const parts = new Rig(build, shape, tokens, { kind, threads }).runChunks(queries, keys, values, chunks);
            assert.is(firstDifference(once, parts), -1);
          },
        ),
        { numRuns: 10 },
      );
    });
  }

  test(`token by token over several ranges has the bits of one prefill (${build})`, () => {
    const shape = { heads: 3, kvHeads: 1, headDim: 16 };
    const [queries, keys, values] = data(shape, 1100, 7);
    const once = new Rig(build, shape, 1100, { kind: "int8" }).run(queries, keys, values);
    const steps = new Rig(build, shape, 1100, { kind: "int8", threads: 2 }).runChunks(
      queries,
      keys,
      values,
      Array(1100).fill(1),
    );
    assert.is(firstDifference(once, steps), -1);
  });
}

if (runnableBuilds.length > 1)
  test("both builds give the same bits", () => {
    for (const [kind, seed] of [
      ["int8", 1],
      ["f32", 2],
    ] as const) {
      const shape = { heads: 10, kvHeads: 2, headDim: 64 };
      const [queries, keys, values] = data(shape, 700, seed);
      const [a, b] = runnableBuilds.map((build) => new Rig(build, shape, 700, { kind }).run(queries, keys, values));
      assert.is(firstDifference(a as Float32Array, b as Float32Array), -1);
    }
  });

test.run();
