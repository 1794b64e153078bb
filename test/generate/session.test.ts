import { loadModel, OptionError, SessionError } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";

const ids = Array.from({ length: 150 }, (_, i) => (i * 7919 + 13) % 4096);
const bits = (values: Float32Array) => new Uint32Array(values.slice().buffer);
const same = (a: Float32Array, b: Float32Array) => {
  assert.is(a.length, b.length);
  const [x, y] = [bits(a), bits(b)];
  assert.ok(
    x.every((word, i) => word === y[i]),
    "the same bits",
  );
};

const refused = async (work: Promise<unknown>, type: typeof OptionError | typeof SessionError, says = /./) => {
  const error = await work.then(
    () => assert.unreachable("not refused"),
    (error: unknown) => error,
  );
  assert.instance(error, type);
  assert.match((error as Error).message, says);
};

for (const kvCache of ["int8", "f32"] as const) {
  test(`${kvCache}: threads, prefill chunks and single steps give the same bits`, async () => {
    let expected: Float32Array | undefined;
    for (const [threads, prefillChunk] of [
      [1, 64],
      [1, 7],
      [2, 64],
      [2, 1],
      [3, 50],
    ] as const) {
      await using model = await loadModel("embedded", { kvCache, threads, prefillChunk });
      const session = model.createSession();
      const logits = await session.prefill(ids, { allLogits: true });
      expected ??= logits;
      same(logits, expected);
      if (prefillChunk !== 64) continue;
      const { vocab } = model.config;
      const steps = model.createSession();
      for (const [i, id] of ids.slice(0, 70).entries())
        same(await steps.step(id), expected.subarray(i * vocab, (i + 1) * vocab));
    }
  });

  test(`${kvCache}: forks go their own ways; saved sessions come back`, async () => {
    await using model = await loadModel("embedded", { kvCache, threads: 1 });
    const session = model.createSession();
    await session.prefill(ids.slice(0, 100));
    const fork = await session.fork();
    const saved = await session.save();
    const original = await session.prefill(ids.slice(100));
    const other = await fork.prefill([1, 2, 3]);
    assert.is(session.length, 150);
    assert.is(fork.length, 103);
    const restored = await model.restore(saved);
    assert.is(restored.length, 100);
    same(await restored.prefill(ids.slice(100)), original);
    const again = await model.restore(saved);
    same(await again.prefill([1, 2, 3]), other);
    await session.dispose();
    same(await (await again.fork()).step(9), await fork.step(9));
  });
}

test("damaged saved sessions are refused by name", async () => {
  await using model = await loadModel("embedded", { threads: 1 });
  const session = model.createSession();
  await session.prefill(ids.slice(0, 20));
  const saved = await session.save();
  for (const bytes of [
    new Uint8Array(0),
    new Uint8Array(3),
    saved.slice(0, 40),
    saved.slice(0, -1),
    saved.map((b, i) => (i < 4 ? 255 : b)),
  ]) {
    try {
      await model.restore(bytes);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, SessionError);
    }
  }
  await using otherKind = await loadModel("embedded", { threads: 1, kvCache: "f32" });
  await otherKind.restore(saved).then(
    () => assert.unreachable(),
    (error) => assert.instance(error, SessionError),
  );
  await using otherWeights = await loadModel("random:smollm2", { threads: 1, contextLength: 64 });
  const foreign = await otherWeights.createSession().save();
  for (let at = 0; at < saved.length; at += Math.ceil(saved.length / 40)) {
    const damaged = saved.map((byte, i) => (i === at ? byte ^ 4 : byte));
    await model.restore(damaged).then(
      () => assert.unreachable(`byte ${at}`),
      (error) => assert.instance(error, SessionError),
    );
  }
  await model.restore(foreign).then(
    () => assert.unreachable(),
    (error) => assert.instance(error, SessionError),
  );
  assert.is((await model.restore(saved)).length, 20);
});

test("wrong ids, full contexts and disposed sessions are refused; the session stays usable", async () => {
  await using model = await loadModel("embedded", { threads: 1, contextLength: 40 });
  const session = model.createSession();
  await refused(session.prefill([]), OptionError);
  for (const bad of [-1, 4096, 1.5, Number.NaN]) await refused(session.prefill([1, bad]), OptionError);
  await refused(session.prefill(ids.slice(0, 41)), SessionError);
  await session.prefill(ids.slice(0, 40));
  await refused(session.step(1), SessionError);
  assert.is(session.length, 40);
  const busy = model.createSession();
  const first = busy.prefill(ids.slice(0, 10));
  await refused(busy.step(1), SessionError);
  await first;
  assert.is(busy.length, 10);
  await session.dispose();
  await session.dispose();
  await refused(session.step(1), SessionError);
});

test("an aborted prefill keeps the chunks that were done", async () => {
  await using model = await loadModel("embedded", { engineThread: "caller", threads: 1, prefillChunk: 10 });
  const session = model.createSession();
  const controller = new AbortController();
  const work = session.prefill(ids, {
    signal: controller.signal,
    onProgress: ({ fraction }) => fraction > 0.2 && controller.abort(new Error("enough")),
  });
  await work.then(
    () => assert.unreachable(),
    (error: Error) => assert.is(error.message, "enough"),
  );
  assert.is(session.length, 40);
  await using fresh = await loadModel("embedded", { threads: 1 });
  same(await session.prefill(ids.slice(40)), await fresh.createSession().prefill(ids));
});

test("saving and restoring are given up between their steps; a step that is not computed is not in the session", async () => {
  await using model = await loadModel("embedded", { engineThread: "caller", threads: 1, kvCache: "f32" });
  const session = model.createSession();
  await session.prefill(Array.from({ length: 1000 }, (_, i) => ids[i % ids.length] as number));
  const saved = await session.save();
  assert.ok(saved.length > 2 ** 23, `${saved.length} bytes are more than one step`);
  const kvBytes = model.stats().kvBytes;
  const late = (call: (signal: AbortSignal) => Promise<unknown>) => {
    const controller = new AbortController();
    const result = call(controller.signal);
    setImmediate(() => controller.abort(new SessionError("enough")));
    return refused(result, SessionError, /enough/);
  };
  await late((signal) => session.save({ signal }));
  await late((signal) => model.restore(saved, { signal }));
  assert.is(model.stats().kvBytes, kvBytes, "what was begun is given back");
  await refused(session.step(1, { signal: AbortSignal.abort(new SessionError("no")) }), SessionError, /no/);
  assert.is(session.length, 1000);
  assert.equal(await session.save(), saved);
  const other = await model.restore(saved);
  same(await other.step(3), await session.step(3));
});

test.run();
