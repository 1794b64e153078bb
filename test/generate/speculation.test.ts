import { loadModel, type Model } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PassTimes, Speculator } from "#src/generate/speculation.js";
import { pieces, promptOf, same, speculateAlways, ways } from "../helpers/speculation.js";

const model: Model = await loadModel("embedded", { threads: 1, contextLength: 256, engineThread: "caller" });
test.after(() => model.dispose());
speculateAlways(model);

test("tokens, log-probabilities and usage are those without speculation, greedy and sampled", async () => {
  model.resetStats();
  for (let n = 0; n < 12; n++)
    for (const way of ways) await same(model, promptOf(n), { ...way, seed: n, maxTokens: 24 });
  const { proposed, accepted } = model.stats().speculation;
  assert.ok(proposed > 30 && accepted > 0, `${accepted} of ${proposed} proposals were right`);
});

test("so are answers that end at a stop text, at the end of the context, or by a constraint", async () => {
  const prompt = "the dog ran to the park. ".repeat(6).trim();
  for (let seed = 0; seed < 2; seed++) {
    await same(model, prompt, { seed, maxTokens: 60, stop: ["park", "ran to"] });
    await same(model, "a cat. ".repeat(80).trim(), { seed, maxTokens: 80, contextOverflow: "stop" });
    await same(model, "a cat. ".repeat(75).trim(), { seed, maxTokens: 60, contextOverflow: "shift" });
    await same(model, prompt, { seed, maxTokens: 60, regex: "(the dog ran to the (park|house)\\. ){3}" });
    const properties = { name: { enum: ["Lily", "Tom"] }, pets: { type: "array", items: { enum: ["dog", "cat"] } } };
    const schema = { type: "object", properties, required: ["name", "pets"], additionalProperties: false };
    await same(model, prompt, { seed, maxTokens: 60, schema });
  }
});

test("sessions and chats hold what was given out, whenever the reader breaks off", async () => {
  const prompt = "the dog ran to the park. ".repeat(6).trim();
  const options = { temperature: 0, maxTokens: 20, logitBias: {} };
  const expected = await model.complete(prompt, { ...options, speculation: false });
  for (let taken = 1; taken < 8; taken++) {
    const session = model.createSession();
    const start = model.tokenizer.encode(prompt, { addBos: model.tokenizer.addBos }).length;
    let count = 0;
    for await (const _ of session.generate(prompt, { ...options, speculation: true })) if (++count === taken) break;
    assert.ok([start + taken - 1, start + taken].includes(session.length), `${session.length - start} after ${taken}`);
    const rest = expected.tokens.slice(session.length - start);
    const next = await pieces(session.generate("", { ...options, maxTokens: rest.length }));
    assert.equal(
      next.slice(0, -1).map(({ token }) => token),
      rest,
    );
    await session.dispose();
  }
  const [plain, quick] = [model.createChat(), model.createChat()];
  for (const message of [prompt, "the dog ran to", prompt]) {
    const answer = await pieces(plain.send(message, { maxTokens: 20, seed: 4, speculation: false }));
    assert.equal(await pieces(quick.send(message, { maxTokens: 20, seed: 4, speculation: true })), answer);
  }
  await plain.dispose();
  await quick.dispose();
});

test("several generations side by side speculate without disturbing each other", async () => {
  const prompts = Array.from({ length: 4 }, (_, n) => promptOf(n));
  const run = (speculation: boolean) =>
    Promise.all(prompts.map((prompt, seed) => pieces(model.generate(prompt, { seed, maxTokens: 24, speculation }))));
  assert.equal(await run(true), await run(false));
});

test("an aborted generation leaves a session that goes on as if nothing had been proposed", async () => {
  const prompt = "the dog ran to the park. ".repeat(6).trim();
  const session = model.createSession();
  const controller = new AbortController();
  let count = 0;
  try {
    for await (const _ of session.generate(prompt, { temperature: 0, speculation: true, signal: controller.signal }))
      if (++count === 5) controller.abort();
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).name, "AbortError");
  }
  const options = { temperature: 0, maxTokens: 8, speculation: false };
  const expected = await model.complete(prompt, { ...options, maxTokens: 20 });
  const start = model.tokenizer.encode(prompt, { addBos: model.tokenizer.addBos }).length;
  const done = session.length - start;
  const next = await pieces(session.generate("", options));
  assert.equal(
    next.slice(0, -1).map(({ token }) => token),
    expected.tokens.slice(done, done + 8),
  );
  await session.dispose();
});

test("delta attention never speculates", async () => {
  await using delta = await loadModel("embedded", { threads: 1, attention: { kind: "delta", threshold: 0.1 } });
  await delta.complete("the dog ran. ".repeat(10), { temperature: 0, maxTokens: 20, speculation: true });
  assert.equal(delta.stats().speculation, { proposed: 0, accepted: 0 });
});

test("a speculator proposes what followed the same tokens, and only what it can afford", () => {
  const times = new PassTimes();
  const history = [1, 2, 3, 4, 5, 6, 9, 1, 2, 3];
  const asked = new Speculator(times, true);
  assert.equal(asked.propose(history, 9, []), [], "before anything was timed");
  times.add(1, 10);
  times.add(8, 20);
  assert.equal(asked.propose(history, 9, []), [4, 5, 6, 9, 1, 2, 3]);
  assert.equal(asked.propose(history, 2, []), [4, 5]);
  assert.equal(asked.propose(history, 9, [7, 7]), [7, 7], "what has to follow comes first");
  assert.equal(new Speculator(times, true).propose([1, 2, 1, 3], 9, []), []);
  const careful = new Speculator(times, false);
  assert.equal(careful.propose(history, 9, []), [], "nothing was earned yet");
  for (let i = 0; i < 100; i++) careful.book(1, 1, 10);
  assert.equal(careful.propose(history, 9, []), [4, 5, 6, 9, 1, 2, 3]);
  let passes = 0;
  for (; careful.propose(history, 9, []).length > 0; passes++) careful.book(8, 1, 20);
  assert.ok(passes <= 2, `gives up after ${passes} wrong ones`);
});

test("on its own it loses little: all proposals wrong, and passes as dear as they come", () => {
  const times = new PassTimes();
  const careful = new Speculator(times, false);
  let spent = 0;
  const history = [1, 2, 3, 4, 5, 6, 9, 1, 2, 3];
  for (let token = 0; token < 1000; token++) {
    const { length } = careful.propose(history, 9, []);
    const ms = 10 * (1 + length * 1.2);
    spent += ms;
    careful.book(length + 1, 1, ms);
  }
  assert.ok(spent < 10 * 1000 * 1.02, `${spent / 10_000}`);
});

test.run();
