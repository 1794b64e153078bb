import { equal, failure, PROMPT, STORY, sameBits, textOf } from "./assert.mjs";

/** What a model answers, and what its sessions, chats and samplers keep. */
export const answers = {
  async "golden text"({ model }) {
    const words = await textOf(model.generate(PROMPT, { maxTokens: 40, temperature: 0 }));
    equal(words.startsWith(STORY), true, `text ${JSON.stringify(words)}`);
  },

  async "pieces have token and logprob, the last one the reason and the usage"({ model }) {
    const pieces = [];
    for await (const piece of model.generate(PROMPT, { maxTokens: 2, temperature: 0 })) pieces.push(piece);
    equal(pieces.length, 3, "pieces");
    for (const piece of pieces.slice(0, 2)) {
      equal(Number.isInteger(piece.token), true, "token");
      equal(piece.logprob < 0, true, "logprob");
      equal(piece.finishReason, undefined, "no reason yet");
    }
    equal(pieces[2].token, -1, "last token");
    equal(pieces[2].finishReason, "length", "reason");
    equal(pieces[2].usage.completionTokens, 2, "usage");
  },

  async "complete answers text, ids and messages"({ model }) {
    const options = { maxTokens: 8, temperature: 0 };
    const { text, tokens, finishReason, usage } = await model.complete(PROMPT, options);
    equal(STORY.startsWith(text), true, `text ${JSON.stringify(text)}`);
    equal(tokens.length, 8, "tokens");
    equal(finishReason, "length", "reason");
    equal(usage.promptTokens > 10, true, "usage");
    const ids = model.tokenizer.encode(PROMPT, { addBos: model.tokenizer.addBos });
    equal((await model.complete(ids, options)).text, text, "of ids");
    const messages = [{ role: "user", content: PROMPT }];
    const rendered = await model.tokenizer.applyTemplate(messages);
    equal(rendered.includes(PROMPT), true, `rendered ${rendered}`);
    const prompt = model.tokenizer.encode(rendered, { special: true });
    equal((await model.complete(messages, options)).text, (await model.complete(prompt, options)).text, "of messages");
    equal(model.tokenizer.countTokens("Once upon a time"), 4, "counted");
  },

  async "a prompt longer than the context is an error, ends or is shortened, as asked"({ model, deltallm }) {
    const prompt = Array.from({ length: 600 }, (_, i) => 300 + i);
    const error = await failure(() => model.complete(prompt));
    equal(error instanceof deltallm.SessionError, true, `class of ${error}`);
    equal((await model.complete(prompt, { contextOverflow: "stop" })).finishReason, "context", "reason");
    const shifts = [];
    const onContextShift = (shift) => shifts.push(shift.droppedTokens);
    const shifted = await model.complete(prompt, {
      contextOverflow: "shift",
      maxTokens: 2,
      temperature: 0,
      onContextShift,
    });
    equal(shifted.tokens.length, 2, "tokens");
    equal(shifts.length, 1, "told");
  },

  async "a session generates, forgets and generates again"({ model }) {
    const session = model.createSession();
    const options = { maxTokens: 6, temperature: 0 };
    const first = await textOf(session.generate(PROMPT, options));
    const length = session.length;
    const second = await textOf(session.generate("", options));
    equal(STORY.startsWith(first + second), true, `text ${JSON.stringify(first + second)}`);
    equal(session.length, length + 6, "length");
    equal(await session.truncate(length), length, "kept");
    equal(session.length, length, "length after truncate");
    equal(await textOf(session.generate("", options)), second, "again");
    await session.dispose();
  },

  async "the same seed gives the same text"({ model }) {
    const options = { maxTokens: 12, seed: 7 };
    equal(await textOf(model.generate(PROMPT, options)), await textOf(model.generate(PROMPT, options)), "text");
  },

  async "a sampler chooses from logits what generate chooses"({ model, deltallm }) {
    const options = { seed: 11, temperature: 1, topK: 0, presencePenalty: 0.5, topLogprobs: 2 };
    const expected = await model.complete(PROMPT, { ...options, maxTokens: 8 });
    const sampler = model.createSampler(options);
    const session = model.createSession();
    const history = Array.from(model.tokenizer.encode(PROMPT, { addBos: model.tokenizer.addBos }));
    let logits = await session.prefill(history);
    for (const [i, token] of expected.tokens.entries()) {
      const choice = await sampler.sample(logits, history, { topLogprobs: 2 });
      equal(choice.token, token, "token");
      equal(JSON.stringify(choice), JSON.stringify(expected.logprobs[i]), "probabilities");
      history.push(token);
      logits = await session.step(token);
    }
    const [first, second] = expected.tokens;
    const { token, logprob } = await sampler.sample(logits, [], { allowed: [first, second] });
    equal([first, second].includes(token) && logprob <= 0, true, "allowed");
    const error = await failure(() => sampler.sample(logits.subarray(1)));
    equal(error instanceof deltallm.OptionError, true, `class of ${error}`);
    await sampler.dispose();
    equal((await failure(() => sampler.sample(logits))) instanceof deltallm.SessionError, true, "disposed of");
    await session.dispose();
  },

  async "tokenizer there and back"({ model }) {
    const ids = model.tokenizer.encode("Tom and Lily ran to the park. 🌳");
    equal(model.tokenizer.decode(ids), "Tom and Lily ran to the park. 🌳", "decoded");
    const long = `${PROMPT} ${STORY} `.repeat(12);
    equal(model.tokenizer.decode(model.tokenizer.encode(long)), long, "long text");
  },

  async "stats tell threads and the reason"({ model }) {
    const { threads, threadsReason, kernel, decode, attention } = model.stats();
    equal(threads >= 1, true, "threads");
    equal(typeof threadsReason === "string" && threadsReason.length > 0, true, "reason");
    equal(["simd", "relaxed"].includes(kernel), true, "kernel");
    equal(decode.tokens > 0, true, "decoded tokens");
    equal(attention.kind, "full", "attention");
  },

  async "abort stops within a token, with the signal's own reason"({ model }) {
    const controller = new AbortController();
    const reason = new Error("enough");
    let pieces = 0;
    const error = await failure(async () => {
      for await (const _ of model.generate(PROMPT, { temperature: 0, signal: controller.signal }))
        if (++pieces === 3) controller.abort(reason);
    });
    equal(error, reason, "reason");
    equal(pieces <= 4, true, `${pieces} pieces`);
  },

  async "nothing in a schema is taken for a function or a signal"({ model }) {
    for (const reference of ["function", "signal"]) {
      const value = { reference, id: 1 };
      const schema = { const: value };
      const completion = await model.complete(PROMPT, { schema, maxTokens: 60, temperature: 0 });
      equal(JSON.stringify(completion.value), JSON.stringify(value), "value");
    }
  },

  async "abort of a prefill keeps the session usable"({ model }) {
    const session = model.createSession();
    const signal = AbortSignal.abort();
    const error = await failure(() => session.prefill([1, 2, 3], { signal }));
    equal(error.name, "AbortError", "name");
    equal((await session.prefill([1, 2, 3])).length, model.config.vocab, "logits");
    equal(session.length, 3, "length");
    await session.dispose();
  },

  async "break ends a chat's answer, the chat goes on"({ model }) {
    const chat = model.createChat();
    for await (const _ of chat.send("Hello", { maxTokens: 8, temperature: 0 })) break;
    const answer = await textOf(chat.send("Tell me more.", { maxTokens: 8, temperature: 0 }));
    equal(answer.length > 0, true, "answer");
    await chat.dispose();
  },

  async "a chat's messages; regenerate, continue, edit, fork, save and restore"({ model }) {
    const chat = model.createChat({ system: "Tell." });
    const options = { maxTokens: 6, temperature: 0 };
    const first = await textOf(chat.send(PROMPT, options));
    const { messages } = chat;
    equal(messages.map(({ role }) => role).join(), "system,user,assistant", "roles");
    equal(messages[2].content, first, "answer");
    equal(messages[2].finishReason, "length", "reason");
    equal(await textOf(chat.regenerate(options)), first, "regenerated");
    const rest = await textOf(chat.continue(options));
    equal(chat.messages[2].content, first + rest, "continued");
    const fork = await chat.fork();
    const restored = model.createChat();
    await restored.restore(await chat.save());
    equal(JSON.stringify(restored.messages), JSON.stringify(chat.messages), "restored messages");
    const next = await textOf(chat.send("And then?", options));
    for (const other of [fork, restored]) {
      equal(await textOf(other.send("And then?", options)), next, "the same answer");
      await other.dispose();
    }
    await chat.edit(1, "A cat");
    await chat.setSystem(undefined);
    equal(JSON.stringify(chat.messages), JSON.stringify([{ role: "user", content: "A cat" }]), "edited");
    equal((await textOf(chat.regenerate(options))).length > 0, true, "answered");
    await chat.dispose();
  },

  async "penalties, biases and log-probabilities of the likeliest tokens"({ model }) {
    const options = { maxTokens: 6, temperature: 0, topLogprobs: 2 };
    const { tokens, logprobs } = await model.complete(PROMPT, options);
    equal(logprobs.length, 6, "one entry per token");
    equal(logprobs[0].topLogprobs.length, 2, "alternatives");
    equal(logprobs[0].topLogprobs[0].token, tokens[0], "the likeliest was taken");
    equal(logprobs[0].topLogprobs[0].logprob, logprobs[0].logprob, "the same number");
    const banned = await model.complete(PROMPT, { ...options, logitBias: { [tokens[0]]: -Infinity } });
    equal(banned.tokens[0], logprobs[0].topLogprobs[1].token, "the second likeliest");
    const every = { ...options, temperature: 0.9, seed: 3, topLogprobs: undefined, presencePenalty: 0.5 };
    Object.assign(every, { frequencyPenalty: 0.3, typicalP: 0.9, dryMultiplier: 0.8, repetitionPenalty: 1.1 });
    equal((await model.complete(PROMPT, every)).text, (await model.complete(PROMPT, every)).text, "repeatable");
  },

  async "save and restore, fork: the same logits"({ model }) {
    const session = model.createSession();
    await session.prefill([500, 470, 258, 424]);
    const fork = await session.fork();
    const restored = await model.restore(await session.save());
    equal(restored.length, 4, "length");
    const expected = await session.step(11);
    for (const other of [fork, restored]) sameBits(await other.step(11), expected);
    for (const each of [session, fork, restored]) await each.dispose();
  },

  async "all logits, progress"({ model }) {
    const session = model.createSession();
    const fractions = [];
    const all = await session.prefill([500, 470, 258], {
      allLogits: true,
      onProgress: (p) => fractions.push(p.fraction),
    });
    equal(all.length, 3 * model.config.vocab, "logits");
    equal(fractions.at(-1), 1, "progress");
    await session.dispose();
  },
};
