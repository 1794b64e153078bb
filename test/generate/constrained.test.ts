import { test } from "uvu";
import * as assert from "uvu/assert";
import { OptionError } from "#src/errors.js";
import { answerConstraint } from "#src/generate/answer-constraint.js";
import type { EngineModel } from "#src/generate/model.js";
import { createSampler } from "#src/generate/sampler.js";
import { resolveSampling } from "#src/generate/sampling-options.js";
import type { EngineSession } from "#src/generate/session.js";
import { loadModel } from "#src/index.js";

const model = await loadModel("embedded", { threads: 1 });
test.after(() => model.dispose());

const person = {
  type: "object",
  properties: {
    name: { type: "string", maxLength: 20 },
    age: { type: "integer", minimum: 1, maximum: 9 },
    likes: { enum: ["tea", "cake"] },
  },
  required: ["name", "age", "likes"],
} as const;

test("complete with a schema gives a value, and says that the schema ended it", async () => {
  for (let seed = 1; seed <= 4; seed++) {
    const answer = await model.complete<{ name: string; age: number; likes: string }>("The girl: ", {
      schema: person,
      seed,
      temperature: 1,
      maxTokens: 200,
    });
    assert.is(answer.finishReason, "schema");
    assert.equal(answer.value, JSON.parse(answer.text));
    assert.type(answer.value?.name, "string");
    assert.ok(answer.value!.age >= 1 && answer.value!.age <= 9);
    assert.ok(["tea", "cake"].includes(answer.value!.likes));
  }
});

test("the type of the value follows from the schema, or is given", async () => {
  const inferred = await model.complete("A ", { schema: person, seed: 1 });
  const likes: "tea" | "cake" | undefined = inferred.value?.likes;
  const age: number | undefined = inferred.value?.age;
  const given = await model.complete<{ n: string }>("A ", {
    schema: { type: "object" } as object as { type: string },
    maxTokens: 1,
  });
  const n: string | undefined = given.value?.n;
  assert.ok(likes && age && n === undefined);
});

test("a constrained answer that reaches the token limit has no value", async () => {
  const answer = await model.complete("The girl: ", { schema: person, seed: 1, maxTokens: 3 });
  assert.is(answer.finishReason, "length");
  assert.is(answer.value, undefined);
});

test("expressions and grammars hold, and probabilities are those among the allowed tokens", async () => {
  const date = await model.complete("It was on ", { regex: /\d{4}-\d\d/, seed: 3 });
  assert.match(date.text, /^\d{4}-\d\d$/);
  assert.is(date.finishReason, "schema");
  const one = await model.complete("Once", { grammar: 'root ::= " upon a time"', seed: 1, topLogprobs: 3 });
  assert.is(one.text, " upon a time");
  assert.is(one.value, undefined);
  const yes = await model.complete("Once", { regex: "yes", seed: 1, topLogprobs: 1 });
  const letters = yes.logprobs!.filter(({ text }) => text.length === 1).at(-1);
  if (letters) assert.ok(letters.logprob <= 0);
});

test("tokens, log-probabilities and draws are those of choosing from all logits under the mask", async () => {
  const own = (await loadModel("embedded", { threads: 2, engineThread: "caller" })) as EngineModel;
  const { engine, tokenizer } = own;
  const { vocab } = own.config;
  for (let seed = 1; seed <= 4; seed++) {
    const options = { seed, temperature: 1, topLogprobs: 3, presencePenalty: seed % 2 };
    const constraint = await answerConstraint(tokenizer, { schema: person });
    const sampler = createSampler(engine.kernels, engine.memory, vocab, resolveSampling(options, own.sampling));
    const session = own.createSession() as EngineSession;
    const history = Array.from(tokenizer.encode("The girl: ", { addBos: tokenizer.addBos }));
    let next = history.slice();
    const got = await own.complete("The girl: ", { ...options, schema: person, maxTokens: 60 });
    for (const { token, logprob, topLogprobs } of got.logprobs!) {
      const expected = await session.advance(next, {}, (logits) =>
        sampler.sample(logits, history, { mask: constraint!.mask(), top: 3 }),
      );
      constraint!.advance(token);
      history.push(token);
      next = [token];
      assert.is(token, expected.id);
      assert.is(logprob, expected.logprob);
      assert.equal(
        topLogprobs!.map(({ token, logprob }) => ({ id: token, logprob })),
        expected.top,
      );
    }
    sampler.dispose();
  }
  await own.dispose();
});

test("a constraint holds in chats and sessions, and when an answer is continued", async () => {
  const chat = model.createChat();
  let text = "";
  for await (const piece of chat.send("Hello", { regex: "(ab){4}", maxTokens: 2, seed: 1 })) text += piece.text;
  assert.ok("abababab".startsWith(text) && text.length < 8);
  for await (const piece of chat.continue({ regex: "(ab){4}", seed: 1 })) text += piece.text;
  assert.is(text, "abababab");
  await refuses(async () => {
    for await (const _ of chat.continue({ regex: "x+" }));
  }, /answer so far is not/);
  await chat.dispose();
});

test("damaged and contradictory options are refused before anything is computed", async () => {
  await refuses(() => model.complete("a", { schema: { type: "nothing" } }), /schema#\/type/);
  await refuses(() => model.complete("a", { grammar: "root ::= x" }), /line 1/);
  await refuses(() => model.complete("a", { regex: "(" }), /regex/);
  await refuses(() => model.complete("a", { regex: "a", grammar: 'root ::= "a"' }), /cannot be used together/);
  await refuses(() => model.complete("a", { regex: "a", stop: "b" }), /stop cannot be used/);
});

async function refuses(run: () => Promise<unknown>, said: RegExp): Promise<void> {
  try {
    await run();
  } catch (error) {
    assert.instance(error, OptionError);
    assert.match((error as Error).message, said);
    return;
  }
  assert.unreachable();
}

test.run();
