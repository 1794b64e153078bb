import { loadModel } from "deltallm";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EngineModel } from "#src/generate/model.js";
import type { LoadOptions } from "#src/types.js";

const load = async (options: LoadOptions = {}) =>
  (await loadModel("embedded", { contextLength: 256, engineThread: "caller", ...options })) as EngineModel;

/** Slices of every pass from now on. */
function watchPasses(model: EngineModel): { tokens: number; work: string }[][] {
  const passes: { tokens: number; work: string }[][] = [];
  const { engine } = model;
  const forward = engine.forward.bind(engine);
  engine.forward = (ids, slices) => {
    passes.push(slices.map(({ tokens, work }) => ({ tokens, work })));
    return forward(ids, slices);
  };
  return passes;
}

const ids = (count: number, seed: number) => Array.from({ length: count }, (_, i) => ((i + seed) * 7919 + 13) % 4096);
const text = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("hex");

async function generated(model: EngineModel, prompt: number[], maxTokens: number, seed: number, breakAfter = 99) {
  const tokens: number[] = [];
  for await (const piece of model.generate(prompt, { maxTokens, seed, temperature: 1 })) {
    tokens.push(piece.token);
    if (tokens.length === breakAfter) break;
  }
  return tokens;
}

test("concurrent calls share passes without being asked to", async () => {
  await using model = await load({ threads: 1 });
  const sessions = Array.from({ length: 8 }, () => model.createSession());
  await Promise.all(sessions.map((session, i) => session.prefill(ids(3, i))));
  const passes = watchPasses(model);
  await Promise.all(sessions.map((session) => session.step(5)));
  assert.equal(
    passes.map((pass) => pass.length),
    [8],
  );
  passes.length = 0;
  await Promise.all(sessions.map((_, i) => generated(model, ids(4, i), 10, i)));
  assert.ok(passes.length <= 14, `${passes.length} passes for 8 × 10 tokens`);
});

test("a sequence that decodes is in every pass while a long prompt is computed, and those passes are bounded", async () => {
  await using model = await load({ threads: 1 });
  const reader = model.createSession();
  const passes = watchPasses(model);
  const long = reader.prefill(ids(200, 1));
  const tokens = await generated(model, ids(4, 2), 12, 3);
  await long;
  assert.is(tokens.filter((token) => token >= 0).length, 12);
  const shared = passes.filter((pass) => pass.some(({ work, tokens }) => work === "decode" && tokens === 1));
  assert.ok(shared.length >= 10);
  for (const pass of shared) assert.ok(pass.reduce((sum, { tokens }) => sum + tokens, 0) <= 16);
  const lastPrefill = passes.findLastIndex((pass) => pass.some(({ tokens }) => tokens > 1));
  assert.ok(lastPrefill > 10, "prefill goes on beside");
});

test("many long prompts advance side by side", async () => {
  await using model = await load({ threads: 1 });
  const passes = watchPasses(model);
  await Promise.all(Array.from({ length: 4 }, (_, i) => model.createSession().prefill(ids(64, i))));
  assert.equal(
    passes.map((pass) => pass.map(({ tokens }) => tokens)),
    Array(4).fill([16, 16, 16, 16]),
  );
});

for (const attention of [{}, { kind: "delta", targetSparsity: 0.6, window: 64 }] as const)
  test(`${attention.kind ?? "full"}: whatever runs beside, every call gets what it gets alone`, async () => {
    await using model = await load({ threads: 2, attention });
    await using single = await load({ threads: 1, attention });
    const call = fc.record({
      kind: fc.constantFrom("generate", "steps", "score", "window"),
      prompt: fc.array(fc.nat(4095), { minLength: 2, maxLength: 90, size: "max" }),
      count: fc.integer({ min: 1, max: 12 }),
      leaves: fc.constantFrom("no", "no", "abort", "break", "dispose"),
    });
    type Call = typeof call extends fc.Arbitrary<infer T> ? T : never;
    const run = async (on: EngineModel, { kind, prompt, count, leaves }: Call): Promise<unknown> => {
      if (kind === "score") {
        const scores = await on.score(prompt, [ids(count, 1), ids(count, 2)]);
        return scores.map(({ logprobs, greedy }) => [text(logprobs), greedy]);
      }
      if (kind === "window") return text(await on.scoreWindow(prompt));
      if (kind === "generate") return generated(on, prompt, count, 7, leaves === "break" ? 3 : undefined);
      const session = on.createSession();
      const controller = new AbortController();
      const results: string[] = [];
      try {
        const prefill = session.prefill(prompt, { signal: controller.signal });
        if (leaves === "abort") controller.abort();
        if (leaves === "dispose") void session.dispose();
        results.push(text(await prefill));
        for (const id of ids(count, 3)) results.push(text(await session.step(id)));
      } catch (error) {
        return (error as Error).name;
      } finally {
        await session.dispose();
      }
      return results;
    };
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 10 }), async (calls) => {
        const together = await Promise.all(calls.map((one) => run(model, one)));
        for (const [i, one] of calls.entries()) assert.equal(together[i], await run(single, one));
      }),
      { numRuns: 12 },
    );
  });

test("who needs the logits of all tokens does not wait for another with the same prompt, and gets the same", async () => {
  await using model = await load({ threads: 1 });
  const passes = watchPasses(model);
  const all = () => model.createSession().prefill(ids(200, 8), { allLogits: true });
  const [first, second] = await Promise.all([all(), all()]);
  assert.is(text(first), text(second));
  assert.ok(passes.every((pass) => pass.length === 2));
});

test("one that is cancelled, disposed of or fails leaves the others alone", async () => {
  await using model = await load({ threads: 1 });
  const expected = text(await model.createSession().prefill(ids(150, 4)));
  const controller = new AbortController();
  const [kept, aborted, gone, failed] = Array.from({ length: 4 }, () => model.createSession()) as never as [
    ReturnType<typeof model.createSession>,
    ReturnType<typeof model.createSession>,
    ReturnType<typeof model.createSession>,
    ReturnType<typeof model.createSession>,
  ];
  const results = Promise.allSettled([
    kept.prefill(ids(150, 4), {
      onProgress: ({ fraction }) => fraction > 0.3 && controller.abort(new Error("enough")),
    }),
    aborted.prefill(ids(200, 5), { signal: controller.signal }),
    gone.prefill(ids(200, 6), { onProgress: () => void gone.dispose() }),
    failed.prefill(ids(200, 7), {
      onProgress() {
        throw new Error("a bad callback");
      },
    }),
  ]);
  const [first, ...others] = await results;
  assert.is(first.status === "fulfilled" && text(first.value), expected);
  assert.equal(
    others.map((other) => other.status === "rejected" && String(other.reason.message).slice(0, 30)),
    ["enough", "This session has been disposed", "a bad callback"],
  );
  assert.ok(aborted.length > 0 && aborted.length < 200);
  assert.is((await failed.prefill([1])).length, 4096);
});

test("a model that is disposed of while calls wait ends them all", async () => {
  const model = await load({ threads: 1 });
  const waiting = Promise.allSettled(Array.from({ length: 5 }, (_, i) => model.createSession().prefill(ids(200, i))));
  await new Promise((resolve) => setImmediate(resolve));
  await model.dispose();
  for (const result of await waiting) assert.is(result.status, "rejected");
});

test("logits without a number are the same error wherever they come from", async () => {
  await using model = await load({ threads: 1 });
  const { engine } = model;
  const forward = engine.forward.bind(engine);
  engine.forward = (piece, slices) => {
    const addresses = forward(piece, slices);
    addresses.forEach((address, i) => {
      const rows = slices[i]!.want === "all" ? slices[i]!.tokens : 1;
      if (address) engine.memory.f32(address, rows * engine.config.vocab).fill(Number.NaN);
    });
    return addresses;
  };
  const session = model.createSession();
  for (const call of [
    () => session.prefill([1, 2]),
    () => session.prefill([1, 2], { allLogits: true }),
    () => session.step(3),
    () => model.score([1, 2], [[3]]),
    () => model.scoreWindow([1, 2, 3]),
    () => generated(model, [1, 2], 3, 1),
  ])
    await call().then(
      () => assert.unreachable(),
      (error: Error) => assert.match(error.message, /none of the logits is a number/),
    );
});

test.run();
