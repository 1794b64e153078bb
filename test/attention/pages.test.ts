import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createCache, pagePool } from "#src/attention/create-cache.js";
import type { AttentionOptions } from "#src/attention/options.js";
import type { KeyValueCache } from "#src/kv/cache.js";
import type { HeldPage } from "#src/kv/held-page.js";
import { runnableBuilds } from "../helpers/kernels.js";
import { fakeCalibration, walk } from "./delta-data.js";
import { config, firstDifference, Rig } from "./harness.js";

const shape = { heads: 4, kvHeads: 2, headDim: 32 };
const build = runnableBuilds.at(-1) ?? "simd";
const CONTEXT = 1600;
type Data = readonly [Float32Array, Float32Array, Float32Array];
const cut = ([q, k, v]: Data, from: number, to: number): [Float32Array, Float32Array, Float32Array] => [
  q.slice(from * 128, to * 128),
  k.slice(from * 64, to * 64),
  v.slice(from * 64, to * 64),
];

const kinds = fc.constantFrom<AttentionOptions["grain"] | "full" | "f32">("full", "f32", "element", "chunk", "row");
function optionsOf(
  kind: string | undefined,
  seed: number,
  window: number,
): { kind: "int8" | "f32"; attention: AttentionOptions } {
  if (kind === "f32" || kind === "full") return { kind: kind === "f32" ? "f32" : "int8", attention: {} };
  const grain = kind as "element" | "chunk" | "row";
  const theta = 0.4 * Math.sqrt(grain === "element" ? 1 : grain === "chunk" ? 16 : 32);
  const calibration = fakeCalibration(shape, seed);
  return { kind: "int8", attention: { kind: "delta", grain, basis: "score", threshold: theta, window, calibration } };
}

/** A cache in the same memory. */
function another(rig: Rig, options: ReturnType<typeof optionsOf>): KeyValueCache {
  return createCache(rig.memory, config(shape), { ...options, contextLength: CONTEXT });
}

test("a cache that begins with the pages of another goes on with the bits it has alone", () => {
  fc.assert(
    fc.property(
      kinds,
      fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 300 }), fc.constant(400)), {
        minLength: 1,
        maxLength: 3,
      }),
      fc.integer({ min: 0, max: 14 }),
      fc.constantFrom(16, 64, 200),
      fc.nat(),
      (kind, sizes, taken, window, seed) => {
        const options = optionsOf(kind, seed, window);
        const tokens = sizes.reduce((a, b) => a + b, 0);
        const data = walk(shape, tokens, seed);
        const rig = new Rig(build, shape, CONTEXT, options);
        const pages: HeldPage[] = [];
        rig.cache.onPage = (page, index) => {
          assert.is(index, pages.length);
          pages.push(page);
        };
        rig.runChunks(...data, sizes);
        assert.is(pages.length, Math.floor(tokens / 64));
        const origin = rig.cache;
        if (seed % 2) origin.dispose();
        const used = pagePool(rig.memory).bytes;
        const copy = another(rig, options);
        const some = pages.slice(0, taken);
        assert.is(copy.adopt(some), 64 * some.length);
        const begun = 64 * some.length;
        rig.cache = copy;
        const tail = walk(shape, 130, seed + 1);
        const whole = new Rig(build, shape, CONTEXT, options);
        if (begun) whole.run(...cut(data, 0, begun));
        const [a, b] = [rig.runChunks(...tail, [1, 100, 29]), whole.runChunks(...tail, [129, 1])];
        assert.is(firstDifference(a, b), -1);
        assert.equal(whole.cache.save(), rig.cache.save(), "the same keys, values and references");
        if (kind === "full" || kind === "f32") {
          const perPage = copy.keyBytes / Math.ceil(copy.length / 64);
          assert.ok(pagePool(rig.memory).bytes - used < 2 * perPage * 4 + 40_000, "nothing was copied");
        }
        if (!(seed % 2)) assert.is(origin.length, tokens, "the origin is as it was");
        // What the new cache computes can be taken too, and outlives it.
        copy.dispose();
        const third = another(rig, options);
        assert.is(third.adopt(some), begun);
        rig.cache = third;
        assert.is(firstDifference(rig.runChunks(...tail, [130]), b), -1);
        third.dispose();
        for (const page of pages) page.release();
        origin.dispose();
        assert.is(pagePool(rig.memory).bytes, 0);
      },
    ),
    { numRuns: 40 },
  );
});

test("truncated, forked and adopted caches of every grain save bytes that restore", () => {
  fc.assert(
    fc.property(
      kinds,
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 2, maxLength: 5 }),
      fc.nat(),
      (kind, sizes, seed) => {
        const options = optionsOf(kind, seed, 64);
        const rig = new Rig(build, shape, CONTEXT, options);
        let data = walk(shape, 0, seed);
        const append = (count: number, salt: number) => {
          const more = walk(shape, count, seed + salt);
          rig.run(...more);
          data = data.map((x, i) => Float32Array.from([...x, ...(more[i] as Float32Array)])) as never;
        };
        sizes.forEach((size, i) => {
          append(Math.min(size, CONTEXT - 20 - rig.cache.length), i);
          const kept = rig.cache.truncate(Math.max(0, rig.cache.length - (i % 2 ? 10 : 300)));
          data = cut(data, 0, kept);
          append(5, 50 + i);
          const saved = rig.cache.save();
          const restored = new Rig(build, shape, CONTEXT, options);
          restored.cache.restore(saved);
          const tail = walk(shape, 3, 7);
          const fork = rig.cache.fork();
          const origin = rig.cache;
          const next = restored.run(...tail);
          rig.cache = fork;
          assert.is(firstDifference(next, rig.run(...tail)), -1);
          rig.cache = origin;
          fork.dispose();
        });
        const alone = new Rig(build, shape, CONTEXT, options);
        alone.run(...data);
        const tail = walk(shape, 3, 9);
        assert.is(firstDifference(alone.run(...tail), rig.run(...tail)), -1);
      },
    ),
    { numRuns: 25 },
  );
});

test.run();
