import {
  type ContextShift,
  type GenerateOptions,
  loadModel,
  type Model,
  OptionError,
  type Piece,
  SessionError,
} from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";

const model: Model = await loadModel("embedded", { threads: 1 });
test.after(() => model.dispose());

async function collect(pieces: AsyncIterable<Piece>) {
  const tokens: number[] = [];
  let text = "";
  let last: Piece | undefined;
  for await (const piece of pieces) {
    assert.is(last?.finishReason, undefined, "nothing after the last piece");
    text += piece.text;
    if (piece.token >= 0) tokens.push(piece.token);
    last = piece;
  }
  assert.is(last?.token, -1);
  return { text, tokens, finishReason: last?.finishReason, usage: last?.usage };
}

test("the same seed tells the same story, another seed another", async () => {
  const options = { maxTokens: 40, seed: 7 };
  const first = await collect(model.generate("Once upon a time", options));
  assert.equal(await collect(model.generate("Once upon a time", options)), first);
  assert.is(first.tokens.length, 40);
  const other = await collect(model.generate("Once upon a time", { ...options, seed: 8 }));
  assert.is.not(other.text, first.text);
});

test("greedy text is the reference's", async () => {
  const { text } = await collect(
    model.generate("Once upon a time, there was a little girl named Lily.", { temperature: 0, maxTokens: 20 }),
  );
  assert.is(text, " She loved to play with her toys and eat yummy food. One day, Lily's mom told her");
});

test("a stop text ends the generation and is not part of it", async () => {
  const { text } = await collect(
    model.generate("Once upon a time, there was a little girl named Lily.", {
      temperature: 0,
      maxTokens: 60,
      stop: ["yummy", "xyz"],
    }),
  );
  assert.is(text, " She loved to play with her toys and eat ");
});

test("a story ends by itself, before the limit", async () => {
  const { tokens } = await collect(model.generate("Once upon a time", { temperature: 0, maxTokens: 900 }));
  assert.ok(tokens.length > 50 && tokens.length < 900, `${tokens.length} tokens`);
});

test("the context's end ends the generation", async () => {
  await using small = await loadModel("embedded", { threads: 1, contextLength: 16 });
  const { tokens, finishReason, usage } = await collect(small.generate([4092, 500, 470, 258], { temperature: 0 }));
  assert.is(tokens.length, 13);
  assert.is(finishReason, "context");
  assert.equal(usage, { promptTokens: 4, cachedTokens: 0, completionTokens: 13 });
});

test("every generation says why it ended", async () => {
  const reason = async (options: GenerateOptions) => (await model.complete("Once upon a time", options)).finishReason;
  assert.is(await reason({ temperature: 0, maxTokens: 3 }), "length");
  assert.is(await reason({ temperature: 0, maxTokens: 0 }), "length");
  assert.is(await reason({ temperature: 0, stop: "was" }), "stop");
  assert.is(await reason({ temperature: 0 }), "stop");
});

test("complete gives what generate streams", async () => {
  const options = { maxTokens: 25, seed: 5 };
  const streamed = await collect(model.generate("Once upon a time", options));
  const { timings, ...whole } = await model.complete("Once upon a time", options);
  assert.equal(whole, streamed);
  assert.ok(timings && timings.promptMs > 0 && timings.completionMs > 0);
});

test("a prompt longer than the context is an error before anything is computed, or ends, or is shortened", async () => {
  await using small = await loadModel("embedded", { threads: 1, contextLength: 24 });
  const prompt = Array.from({ length: 40 }, (_, i) => 300 + i);
  const error = await small.complete(prompt).catch((error) => error);
  assert.instance(error, SessionError);
  assert.match(error.message, /prompt of 40 tokens does not fit the context of 24/);
  assert.is(small.stats().prefill.tokens, 0);
  const stopped = await small.complete(prompt, { contextOverflow: "stop" });
  assert.is(stopped.finishReason, "context");
  assert.is(small.stats().prefill.tokens, 0);
  const shifts: ContextShift[] = [];
  const shifted = await small.complete(prompt, {
    contextOverflow: "shift",
    maxTokens: 60,
    seed: 1,
    onContextShift: (shift) => shifts.push(shift),
  });
  assert.is(shifted.tokens.length, 60);
  assert.is(shifted.finishReason, "length");
  assert.ok(shifts.length > 2 && (shifts[0] as ContextShift).droppedTokens === 28, JSON.stringify(shifts));
});

test("messages are rendered with the model's template", async () => {
  const messages = [{ role: "user", content: "Once upon a time" }];
  const text = await model.tokenizer.applyTemplate(messages);
  const options = { maxTokens: 10, seed: 2 };
  const expected = await model.complete(model.tokenizer.encode(text, { special: true }), options);
  assert.is((await model.complete(messages, options)).text, expected.text);
  assert.is(model.tokenizer.countTokens("Once upon a time"), 4);
});

test("a session goes on from what it generated, and from a shorter past", async () => {
  const session = model.createSession();
  const options = { temperature: 0, maxTokens: 12 };
  const whole = await model.complete("Once upon a time", { temperature: 0, maxTokens: 24 });
  const first = await collect(session.generate("Once upon a time", options));
  assert.is(session.length, 5 + 12);
  const second = await collect(session.generate("", options));
  assert.equal([...first.tokens, ...second.tokens], whole.tokens);
  assert.equal(second.usage, { promptTokens: 17, cachedTokens: 16, completionTokens: 12 });
  assert.is(await session.truncate(5), 5);
  assert.equal((await collect(session.generate([], options))).tokens, first.tokens);
  await session.dispose();
});

test("what is not a prompt is refused by name", async () => {
  for (const wrong of [null, undefined, 5, {}, [{ role: "user" }], [{ content: "hello" }]])
    assert.instance(await model.complete(wrong as never).catch((error) => error), OptionError, JSON.stringify(wrong));
});

test("break and abort stop at once and give the cache back", async () => {
  const open = model.createSession();
  await open.prefill([5]);
  const before = model.stats().kvBytes;
  for await (const _ of model.generate("Once upon a time", { seed: 1 })) break;
  const controller = new AbortController();
  let count = 0;
  try {
    for await (const _ of model.generate("Once upon a time", { seed: 1, signal: controller.signal }))
      if (++count === 3) controller.abort(new Error("enough"));
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).message, "enough");
  }
  assert.is(count, 3);
  assert.is(model.stats().kvBytes, before);
  await open.dispose();
  assert.ok(model.stats().kvBytes > 0, "of the longest session, when none is open");
});

test("two generations side by side do not disturb each other", async () => {
  const options = { maxTokens: 30, seed: 3 };
  const alone = await collect(model.generate("The dog", options));
  const both = await Promise.all([
    collect(model.generate("The dog", options)),
    collect(model.generate("A cat", { ...options, seed: 4 })),
  ]);
  assert.equal(both[0], alone);
});

test("score agrees with scoreWindow, and the context is computed once for all", async () => {
  const context = "Once upon a time, there was a little";
  const [girl, boy] = await model.score(context, [" girl named Lily.", " car of stone."]);
  assert.ok(girl && boy && girl.logprob > boy.logprob);
  const all = model.tokenizer.encode(`${context} girl named Lily.`, { addBos: true });
  const window = await model.scoreWindow(all);
  assert.equal([...girl.logprobs], [...window.slice(-girl.logprobs.length)]);
  const [again] = await model.score(
    [...model.tokenizer.encode(context, { addBos: true })],
    [model.tokenizer.encode(" girl named Lily.")],
  );
  assert.is(again?.logprob, girl.logprob);
  const contexts = ["Once upon a time, there was a little", "One day, a little"].map((text) =>
    model.tokenizer.encode(text, { addBos: true }),
  );
  const ends = [" girl named Lily.", " boy named Tim."].map((text) => model.tokenizer.encode(text));
  const both = await model.score(contexts, ends);
  assert.is(both[0]?.logprob, girl.logprob);
  for (const [i, ids] of ends.entries())
    assert.equal(
      both[i],
      (await model.score(contexts[i] as number[], [ids]))[0],
      "each continuation after its context",
    );
  const error = await model.score(contexts, [[1]]).catch((thrown: unknown) => thrown);
  assert.match(String(error), /2 contexts for 1 continuations/);
});

test.run();
