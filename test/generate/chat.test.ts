import {
  type Chat,
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
    text += piece.text;
    if (piece.token >= 0) tokens.push(piece.token);
    last = piece;
  }
  return { text, tokens, finishReason: last?.finishReason, usage: last?.usage };
}

const refused = async (work: () => unknown, kind: typeof OptionError | typeof SessionError) => {
  const error = await (async () => work())().catch((error) => error);
  assert.instance(error, kind, String(error));
};
const short: GenerateOptions = { maxTokens: 12, seed: 1 };

test("a chat computes only what is new in each turn", async () => {
  const chat = model.createChat({ system: "Tell a story." });
  const before = model.stats().prefill.tokens;
  await collect(chat.send("Once upon a time there was a dog", { maxTokens: 20, seed: 1 }));
  const first = model.stats().prefill.tokens - before;
  await collect(chat.send("And then", { maxTokens: 20, seed: 1 }));
  const second = model.stats().prefill.tokens - before - first;
  assert.ok(second < first + 5, `${first} tokens in the first turn, ${second} in the second`);
  for await (const _ of chat.send("More", { seed: 2 })) break;
  assert.ok((await collect(chat.send("And more", { maxTokens: 5, seed: 1 }))).tokens.length > 0);
  await chat.dispose();
});

test("a chat whose template refuses a message says so every time, not that it is busy", async () => {
  await using refusing = await loadModel("embedded", { threads: 1, engineThread: "caller" });
  refusing.file.tokenizer.chatTemplate = "{{ raise_exception('no') }}";
  const chat = refusing.createChat();
  for (let i = 0; i < 2; i++) {
    let message = "";
    try {
      await collect(chat.send("hello", { maxTokens: 1 }));
    } catch (error) {
      message = (error as Error).message;
    }
    assert.match(message, /The chat template failed: no/);
  }
});

test("messages go in and come out; the reason why an answer ended is with it", async () => {
  const chat = model.createChat({
    system: "Tell.",
    messages: [
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Yes?" },
    ],
  });
  const answer = await collect(chat.send({ role: "user", content: "A dog" }, short));
  assert.equal(chat.messages, [
    { role: "system", content: "Tell." },
    { role: "user", content: "Hi" },
    { role: "assistant", content: "Yes?" },
    { role: "user", content: "A dog" },
    { role: "assistant", content: answer.text, finishReason: "length" },
  ]);
  for await (const _ of chat.send("And a cat", { seed: 1 })) break;
  assert.is(chat.messages.at(-1)?.finishReason, "abort");
  const before = chat.messages;
  const signal = AbortSignal.abort();
  await collect(chat.send("No", { signal })).catch(() => undefined);
  assert.equal(chat.messages, before, "aborted before the first token");
  await chat.dispose();
});

test("a chat is the model's answer to its messages", async () => {
  const chat = model.createChat({ system: "Tell." });
  await collect(chat.send("Once upon a time there was a dog", short));
  const { messages } = chat;
  const second = await collect(chat.send("And then?", short));
  const alone = await model.complete([...messages, { role: "user", content: "And then?" }], short);
  assert.is(second.text, alone.text);
  assert.ok((second.usage?.cachedTokens ?? 0) > 20, JSON.stringify(second.usage));
  assert.is(second.usage?.promptTokens, alone.usage.promptTokens);
  await chat.dispose();
});

test("regenerate answers anew, continue goes on, edit goes back", async () => {
  const chat = model.createChat();
  const greedy = { temperature: 0, maxTokens: 8 };
  await refused(() => collect(chat.regenerate()), SessionError);
  await refused(() => collect(chat.continue()), SessionError);
  const first = await collect(chat.send("Once upon a time", greedy));
  const more = await collect(chat.continue(greedy));
  assert.is(chat.messages.at(-1)?.content, first.text + more.text);
  const whole = await collect(chat.regenerate({ temperature: 0, maxTokens: 16 }));
  assert.is(whole.text, first.text + more.text);
  assert.is(chat.messages.length, 2);
  assert.ok(
    (whole.usage?.cachedTokens ?? 0) >= (whole.usage?.promptTokens ?? 9) - 1,
    "the prompt is not computed again",
  );

  await chat.edit(0, "A cat");
  assert.equal(chat.messages, [{ role: "user", content: "A cat" }]);
  const edited = await collect(chat.regenerate(greedy));
  assert.is(edited.text, (await model.complete([{ role: "user", content: "A cat" }], greedy)).text);
  await chat.edit(-1, "The cat");
  const continued = await collect(chat.continue(greedy));
  assert.is(chat.messages.at(-1)?.content, `The cat${continued.text}`);
  await refused(() => chat.edit(5, "x"), OptionError);
  await refused(() => chat.edit(0.5, "x"), OptionError);
  await refused(() => chat.edit(0, 5 as never), OptionError);
  await chat.dispose();
});

test("the system prompt can be exchanged and taken away", async () => {
  const chat = model.createChat({ system: "One." });
  await collect(chat.send("Hello", short));
  await chat.setSystem("Two.");
  assert.is(chat.messages[0]?.content, "Two.");
  assert.is(chat.messages.length, 3);
  await chat.setSystem(undefined);
  assert.is(chat.messages[0]?.role, "user");
  const { messages } = chat;
  const answer = await collect(chat.send("Again", short));
  assert.is(answer.text, (await model.complete([...messages, { role: "user", content: "Again" }], short)).text);
  await chat.dispose();
});

test("forks, saved and restored chats go on alike, with and without what was computed", async () => {
  const chat = model.createChat({ system: "Tell." });
  await collect(chat.send("Once upon a time", short));
  const fork = await chat.fork();
  const restored = model.createChat();
  await restored.restore(await chat.save());
  const slim = model.createChat();
  const saved = await chat.save({ computed: false });
  assert.ok(saved.length < 5000, `${saved.length} bytes`);
  await slim.restore(saved);
  const expected = await collect(chat.send("And then?", short));
  for (const [name, other] of Object.entries({ fork, restored, slim })) {
    const answer = await collect(other.send("And then?", short));
    assert.is(answer.text, expected.text, name);
    assert.is(answer.usage?.cachedTokens, name === "slim" ? 0 : expected.usage?.cachedTokens, name);
    assert.equal(other.messages, chat.messages);
    await other.dispose();
  }
  await chat.dispose();
});

test("damaged saved chats are refused by name and leave the chat as it was", async () => {
  const chat = model.createChat();
  await collect(chat.send("Once upon a time", short));
  const saved = await chat.save();
  const before = chat.messages;
  for (let i = 0; i < 40; i++) {
    const at = Math.floor((saved.length * i) / 40);
    await refused(() => chat.restore(saved.map((byte, j) => (j === at ? byte ^ 1 : byte))), SessionError);
    await refused(() => chat.restore(saved.slice(0, at)), SessionError);
  }
  await refused(() => chat.restore(null as never), SessionError);
  assert.equal(chat.messages, before);
  assert.is((await collect(chat.send("More", short))).tokens.length, 12);
  await chat.dispose();
});

test("one call at a time, and what is not a message is refused", async () => {
  const chat = model.createChat();
  const pieces = chat.send("Hello", short)[Symbol.asyncIterator]();
  await pieces.next();
  await refused(() => collect(chat.send("Too early", short)), SessionError);
  await refused(() => chat.edit(0, "x"), SessionError);
  await refused(() => chat.save(), SessionError);
  await pieces.return?.();
  for (const wrong of ["", null, 5, [], { role: "user" }])
    await refused(() => collect(chat.send(wrong as never, short)), OptionError);
  await chat.dispose();
});

test("a chat outlives its context: the oldest turns go, the system prompt and the newest stay, and it says so", async () => {
  await using small = await loadModel("embedded", { threads: 1, contextLength: 96 });
  const chat: Chat = small.createChat({ system: "Tell a story." });
  const shifts: ContextShift[] = [];
  const options = { maxTokens: 24, seed: 1, onContextShift: (shift: ContextShift) => shifts.push(shift) };
  for (let turn = 0; turn < 12; turn++) {
    const { tokens, finishReason } = await collect(chat.send("Once upon a time there was a dog", options));
    assert.ok(tokens.length > 0, `turn ${turn}`);
    assert.ok(["length", "stop"].includes(finishReason as string), `turn ${turn}: ${finishReason}`);
  }
  assert.is(chat.messages.length, 25, "all messages are still there");
  assert.ok(shifts.length > 0 && shifts.length < 12, `${shifts.length} shifts`);
  assert.ok((shifts[0] as ContextShift).droppedMessages >= 2);
  assert.match((shifts[0] as ContextShift).note, /context of 96 tokens is full: the oldest \d+ messages were dropped/);
  // What the model saw was the system prompt and the newest turns.
  const dropped = shifts.reduce((sum, { droppedMessages }) => sum + droppedMessages, 0);
  const seen = [chat.messages[0]!, ...chat.messages.slice(1 + dropped, -1)];
  const last = await small.complete(seen, { maxTokens: 24, seed: 1 });
  assert.is(last.text, chat.messages.at(-1)?.content);
  // An answer longer than the context goes on, too.
  const long = await collect(chat.send("And then", { maxTokens: 200, seed: 3, logitBias: { 0: -100 } }));
  assert.ok(["length", "stop"].includes(long.finishReason as string), long.finishReason);
  await chat.dispose();
});

test("a full chat is an error or ends, where that is asked for; a message that never fits is an error", async () => {
  await using small = await loadModel("embedded", { threads: 1, contextLength: 64 });
  const chat = small.createChat();
  const long = "the dog ran to the park ".repeat(20);
  await refused(() => collect(chat.send(long)), SessionError);
  await refused(() => collect(chat.send(long, { contextOverflow: "error" })), SessionError);
  assert.equal(chat.messages, []);
  const stopped = await collect(chat.send(long, { contextOverflow: "stop" }));
  assert.equal([stopped.text, stopped.finishReason], ["", "context"]);
  await chat.dispose();
  const other = small.createChat();
  const full = await collect(other.send("Hello", { contextOverflow: "stop", seed: 2, logitBias: bans(small) }));
  assert.is(full.finishReason, "context");
  await other.dispose();
});

/** Forbids the tokens that end a text. */
function bans({ file }: Model): Record<number, number> {
  return Object.fromEntries(file.tokenizer.eosIds.map((id) => [id, Number.NEGATIVE_INFINITY]));
}

test.run();
