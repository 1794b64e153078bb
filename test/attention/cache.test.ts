import { test } from "uvu";
import * as assert from "uvu/assert";
import { createCache } from "#src/attention/create-cache.js";
import { OptionError, SessionError, UnsupportedError } from "#src/errors.js";
import { Memory } from "#src/memory/memory.js";
import { runnableBuilds } from "../helpers/kernels.js";
import { config, firstDifference, Rig, randomArray } from "./harness.js";

const shape = { heads: 6, kvHeads: 2, headDim: 32 };
const build = runnableBuilds.at(-1) ?? "simd";
const data = (tokens: number, seed: number) =>
  [
    randomArray(tokens * shape.heads * shape.headDim, seed),
    randomArray(tokens * shape.kvHeads * shape.headDim, seed + 1),
    randomArray(tokens * shape.kvHeads * shape.headDim, seed + 2),
  ] as const;

for (const kind of ["int8", "f32"] as const) {
  for (const prefix of [1, 64, 100, 128, 600])
    test(`${kind}: a fork after ${prefix} tokens and its origin go on independently, as if alone`, () => {
      const rig = new Rig(build, shape, 1024, { kind });
      rig.run(...data(prefix, 1));
      const origin = rig.cache;
      const copy = origin.fork();
      const first = rig.run(...data(70, 5));
      rig.cache = copy;
      const second = rig.run(...data(70, 9));
      for (const [seed, forked] of [
        [5, first],
        [9, second],
      ] as const) {
        const alone = new Rig(build, shape, 1024, { kind });
        alone.run(...data(prefix, 1));
        assert.is(firstDifference(alone.run(...data(70, seed)), forked), -1);
      }
      const used = rig.memory.usedBytes;
      origin.dispose();
      copy.dispose();
      copy.dispose();
      assert.ok(rig.memory.usedBytes < used);
    });

  test(`${kind}: truncate, also into shared blocks, is as if the rest had never been`, () => {
    const rig = new Rig(build, shape, 1024, { kind });
    rig.run(...data(300, 1));
    const fork = rig.cache.fork();
    assert.is(rig.cache.truncate(70), 70);
    const cut = rig.run(...data(20, 3));
    const alone = new Rig(build, shape, 1024, { kind });
    const [q, k, v] = data(300, 1);
    alone.run(q.subarray(0, 70 * 192), k.subarray(0, 70 * 64), v.subarray(0, 70 * 64));
    assert.is(firstDifference(alone.run(...data(20, 3)), cut), -1);
    rig.cache = fork;
    const whole = new Rig(build, shape, 1024, { kind });
    whole.run(...data(300, 1));
    assert.is(firstDifference(whole.run(...data(5, 8)), rig.run(...data(5, 8))), -1);
  });

  test(`${kind}: saved bytes restore to the same bits; damaged ones are refused and change nothing`, () => {
    const rig = new Rig(build, shape, 512, { kind });
    rig.run(...data(130, 1));
    const saved = rig.cache.save();
    const next = rig.run(...data(3, 4));
    const other = new Rig(build, shape, 256, { kind });
    other.cache.restore(saved);
    assert.is(other.cache.length, 130);
    assert.is(firstDifference(other.run(...data(3, 4)), next), -1);
    for (const bytes of [
      saved.subarray(0, 10),
      saved.subarray(0, saved.length - 1),
      Uint8Array.from([...saved, 0]),
      saved.map((b, i) => (i === 0 ? b + 1 : b)),
      saved.map((b, i) => (i === 28 ? b + 100 : b)),
      saved.map((b, i) => (i === 31 ? 255 : b)),
    ])
      assert.throws(
        () => other.cache.restore(bytes),
        (error: unknown) => error instanceof SessionError,
      );
    assert.is(other.cache.length, 133);
    const foreign = new Rig(build, shape, 512, { kind: kind === "int8" ? "f32" : "int8" });
    assert.throws(
      () => foreign.cache.restore(saved),
      (error: unknown) => error instanceof SessionError,
    );
    const short = new Rig(build, shape, 100, { kind });
    assert.throws(
      () => short.cache.restore(saved),
      (error: unknown) => error instanceof SessionError,
    );
  });
}

test("memory comes back, and blocks are taken as they are needed", () => {
  const memory = new Memory({ shared: false });
  const before = memory.usedBytes;
  const cache = createCache(memory, config(shape, 3), { kind: "int8", contextLength: 1000, attention: {} });
  assert.is(cache.keyBytes, 0);
  cache.reserve(65);
  cache.commit(65);
  assert.is(cache.keyBytes, 2 * 64 * 3 * 2 * 36);
  const fork = cache.fork();
  cache.truncate(0);
  assert.is(cache.keyBytes, 0);
  cache.dispose();
  fork.dispose();
  assert.is(memory.usedBytes, before);
});

test("wrong use is refused with the cache intact", () => {
  const memory = new Memory({ shared: false });
  const create = (more: object, contextLength = 100) =>
    createCache(memory, { ...config(shape), ...more }, { kind: "int8", contextLength, attention: {} });
  const cache = create({});
  cache.reserve(90);
  cache.commit(90);
  assert.throws(
    () => cache.reserve(11),
    (error: unknown) => error instanceof SessionError,
  );
  assert.throws(
    () => cache.commit(64),
    (error: unknown) => error instanceof SessionError,
  );
  assert.throws(
    () => cache.truncate(-1),
    (error: unknown) => error instanceof SessionError,
  );
  assert.is(cache.length, 90);
  cache.reserve(10);
  cache.dispose();
  assert.throws(
    () => cache.reserve(1),
    (error: unknown) => error instanceof SessionError,
  );
  assert.throws(
    () => create({ headDim: 24 }),
    (error: unknown) => error instanceof UnsupportedError,
  );
  assert.throws(
    () => create({ kvHeads: 4 }),
    (error: unknown) => error instanceof UnsupportedError,
  );
  assert.throws(
    () => create({}, 0),
    (error: unknown) => error instanceof OptionError,
  );
});

test.run();
