import { loadModel } from "deltallm";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EngineModel } from "#src/generate/model.js";
import type { EngineSession } from "#src/generate/session.js";
import type { LoadOptions } from "#src/types.js";

const load = async (options: LoadOptions = {}) =>
  (await loadModel("embedded", {
    contextLength: 512,
    threads: 1,
    engineThread: "caller",
    prefixCacheBytes: 1 << 26,
    ...options,
  })) as EngineModel;
const ids = (count: number, seed = 0) => Array.from({ length: count }, (_, i) => ((i + seed) * 7919 + 13) % 4096);
const text = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("hex");

test("a second prompt that begins like an earlier one computes only its own tokens, and adds no memory for the rest", async () => {
  await using model = await load();
  const prompt = ids(320);
  const first = model.createSession();
  await first.prefill([...prompt, 1, 2, 3]);
  const { computed } = model.stats().tokens;
  const second = model.createSession() as EngineSession;
  const { pool } = (second.cache as unknown as { parts: { pool: { bytes: number } } }).parts;
  const before = pool.bytes;
  await second.prefill([...prompt, 4, 5]);
  assert.equal(model.stats().tokens, { computed: computed + 2, cached: 320 });
  const page = first.length > 0 ? second.kvBytes / Math.ceil(second.length / 64) : 0;
  assert.ok(pool.bytes - before <= page + 4096, `${pool.bytes - before} bytes more`);
  await first.dispose();
  await second.dispose();
  const { usage } = await model.complete([...prompt, 6], { maxTokens: 2 });
  assert.equal([usage.promptTokens, usage.cachedTokens], [321, 320]);
});

test("a hundred sessions over one prompt fit in the memory of one and their own tokens, also when they begin at once", async () => {
  await using model = await load();
  const prompt = ids(256, 3);
  const sessions = Array.from({ length: 100 }, () => model.createSession() as EngineSession);
  await Promise.all(sessions.map((session, i) => session.prefill([...prompt, i, i + 1])));
  assert.is(model.stats().tokens.computed, 256 + 200);
  const { pool } = (sessions[0]!.cache as unknown as { parts: { pool: { bytes: number } } }).parts;
  const page = sessions[0]!.kvBytes / 5;
  assert.ok(pool.bytes < page * (4 + 100) * 1.2 + 100 * 65536, `${pool.bytes} bytes, ${page} a page`);
  for (const session of sessions) await session.dispose();
});

test("a thousand sessions created, used and disposed leave nothing behind", async () => {
  await using model = await load({ prefixCacheBytes: 0 });
  const use = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const session = model.createSession();
      await session.prefill(ids(70, i * 100));
      await session.dispose();
    }
    return [model.engine.memory.usedBytes, model.engine.memory.wasm.buffer.byteLength, model.open.size];
  };
  const after = await use(50);
  assert.equal(await use(1000), after);
});

test("the budget holds, nothing is kept with 0, and sessions find room that is kept for later", async () => {
  await using model = await load({ prefixCacheBytes: 1 << 20 });
  for (let i = 0; i < 30; i++) {
    const session = model.createSession();
    await session.prefill(ids(200, i * 1000));
    await session.dispose();
    assert.ok(model.prefixes.bytes <= 1 << 20);
  }
  await using none = await load({ prefixCacheBytes: 0 });
  for (let i = 0; i < 2; i++) await none.complete(ids(150), { maxTokens: 1 });
  assert.is(none.stats().tokens.cached, 0);
  assert.is(none.prefixes.bytes, 0);
});

test("one that computes for others and is cancelled leaves them to go on", async () => {
  await using model = await load({ prefixCacheBytes: 1 << 24 });
  const controller = new AbortController();
  const prompt = ids(400, 9);
  const expected = text(await (await load()).createSession().prefill([...prompt, 2]));
  const aborted = model
    .createSession()
    .prefill([...prompt, 1], {
      signal: controller.signal,
      onProgress: ({ fraction }) => fraction > 0.4 && controller.abort(new Error("enough")),
    })
    .catch((error: Error) => error.message);
  const other = model.createSession().prefill([...prompt, 2]);
  assert.is(await aborted, "enough");
  assert.is(text(await other), expected);
  assert.ok(model.stats().tokens.cached >= 128);
});

for (const [name, options] of Object.entries<LoadOptions>({
  int8: {},
  f32: { kvCache: "f32" },
  "delta by element": { attention: { kind: "delta", grain: "element", targetSparsity: 0.6, window: 64 } },
  "delta by chunk": { attention: { kind: "delta", grain: "chunk", targetSparsity: 0.6, window: 64 } },
  "delta by row": { attention: { kind: "delta", grain: "row", targetSparsity: 0.6, window: 64 } },
}))
  test(`${name}: the same bits after sharing, forking, truncating and evicting at random`, async () => {
    await using plain = await load({ ...options, prefixCacheBytes: 0 });
    const prompts = [ids(300, 1), [...ids(200, 1), ...ids(150, 2)], [...ids(64, 1), ...ids(100, 5)], ids(130, 7)];
    const step = fc.record({
      what: fc.constantFrom("new", "new", "fork", "cut", "more", "dispose", "evict", "score"),
      which: fc.nat(9),
      prompt: fc.nat(prompts.length - 1),
      length: fc.integer({ min: 2, max: 350 }),
    });
    const expected = new Map<string, string>();
    const alone = async (all: readonly number[]) => {
      const key = all.join();
      if (!expected.has(key)) {
        const session = plain.createSession();
        expected.set(key, text(await session.prefill(all)));
        await session.dispose();
      }
      return expected.get(key);
    };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
        await using model = await load({ ...options, prefixCacheBytes: 1 << 22, threads: 2 });
        const open: EngineSession[] = [];
        const append = async (session: EngineSession, more: readonly number[]) => {
          const all = [...session.ids, ...more];
          assert.is(text(await session.prefill(more)), await alone(all));
        };
        for (const { what, which, prompt, length } of steps) {
          const tokens = prompts[prompt]!.slice(0, length);
          const session = open[which % Math.max(open.length, 1)];
          if (what === "new" || !session) {
            open.push(model.createSession() as EngineSession);
            await append(open.at(-1)!, tokens);
          } else if (what === "fork") open.push(await session.fork());
          else if (what === "cut") session.cut(Math.floor(length / 2));
          else if (what === "more" && session.length < 350) await append(session, tokens.slice(0, 70));
          else if (what === "evict") model.prefixes.evict();
          else if (what === "score") {
            const [a] = await model.score(tokens, [[1, 2]]);
            const [b] = await plain.score(tokens, [[1, 2]]);
            assert.equal(a, b);
          } else if (what === "dispose") await open.splice(open.indexOf(session), 1)[0]!.dispose();
        }
        for (const session of open) if (session.length < 450) await append(session, [5, 6]);
      }),
      { numRuns: 6 },
    );
  });

test.run();
