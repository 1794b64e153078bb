import { test } from "uvu";
import * as assert from "uvu/assert";
import { KernelError, OptionError, SessionError } from "#src/errors.js";
import { loadModel, type SamplingOptions } from "#src/index.js";

const ways: SamplingOptions[] = [
  { temperature: 0 },
  { temperature: 0.7, topK: 40, topP: 0.9 },
  { temperature: 1, topK: 0, typicalP: 0.9, repetitionPenalty: 1.2, dryMultiplier: 0.5, logitBias: { 300: 2 } },
];

for (const engineThread of ["caller", "worker"] as const) {
  const model = await loadModel("embedded", { threads: 1, engineThread });
  test.after(() => model.dispose());

  test(`tokens, probabilities and draws are those of generate (engine in the ${engineThread})`, async () => {
    const start = Array.from(model.tokenizer.encode("Once upon a time", { addBos: model.tokenizer.addBos }));
    for (const way of ways) {
      const options = { ...way, seed: 5 };
      const expected = await model.complete(start, { ...options, maxTokens: 12, topLogprobs: 3 });
      const sampler = model.createSampler(options);
      const session = model.createSession();
      const history = [...start];
      // Of all rows of a prefill the last one, a view of a longer array.
      const all = await session.prefill(start, { allLogits: true });
      let logits = all.subarray(all.length - model.config.vocab);
      for (const logprob of expected.logprobs!) {
        const choice = await sampler.sample(logits, history, { topLogprobs: 3 });
        assert.equal(choice, logprob);
        history.push(choice.token);
        logits = await session.step(choice.token);
      }
      await session.dispose();
      await sampler.dispose();
    }
  });

  test(`what cannot be used is refused, and no random number is taken (engine in the ${engineThread})`, async () => {
    const { vocab } = model.config;
    const logits = new Float32Array(vocab).map((_, id) => Math.sin(id));
    const [sampler, other] = [model.createSampler({ seed: 3 }), model.createSampler({ seed: 3 })];
    const refused: [unknown[], new (...args: never[]) => Error, RegExp][] = [
      [[new Float32Array(3)], OptionError, /logits/],
      [[Array.from(logits)], OptionError, /logits/],
      [[logits, [vocab]], OptionError, /history\[0\]/],
      [[logits, 7], OptionError, /history/],
      [[logits, [], { allowed: [] }], OptionError, /allowed/],
      [[logits, [], { allowed: [1, -1] }], OptionError, /allowed\[1\]/],
      [[logits, [], { topLogprobs: 1.5 }], OptionError, /topLogprobs/],
      [[logits, [], { signal: AbortSignal.abort() }], Error, /abort/i],
      [[new Float32Array(vocab).fill(Number.NaN)], KernelError, /No token can be chosen/],
    ];
    for (const [args, kind, said] of refused) {
      const error = await sampler.sample(...(args as Parameters<typeof sampler.sample>)).catch((error) => error);
      assert.ok(error instanceof kind || (kind === Error && error.name === "AbortError"), String(error));
      assert.match(String(error), said);
    }
    if (engineThread === "caller")
      assert.throws(
        () => model.createSampler({ temperature: -1 }),
        (error: Error) => error instanceof OptionError,
      );
    else {
      const error = await Promise.resolve(model.createSampler({ temperature: -1 }).sample(logits)).catch((e) => e);
      assert.instance(error, OptionError);
    }
    const draws = [await sampler.sample(logits), await other.sample(logits)];
    assert.equal(draws[0]?.text, draws[1]?.text);
    for (let i = 0; i < 20; i++)
      assert.ok([4, 7].includes((await other.sample(logits, [], { allowed: [4, 7] })).token));
    assert.is((await other.sample(logits, [], { allowed: [9] })).logprob, 0);
    for (const each of [sampler, other, other]) await each.dispose();
    const gone = await sampler.sample(logits).catch((error) => error);
    assert.instance(gone, SessionError);
  });
}

test.run();
