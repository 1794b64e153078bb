import { equal, failure, PROMPT, sameBits, textOf } from "./assert.mjs";

/** What is refused, broken off and given back. */
export const refusals = {
  async "score, step, fork, save and restore can be aborted, and everything goes on"({ model, deltallm }) {
    const reason = new Error("enough");
    const aborted = { signal: AbortSignal.abort(reason) };
    const session = model.createSession();
    await session.prefill([500, 470, 258, 424]);
    const saved = await session.save();
    const chat = model.createChat();
    await textOf(chat.send("Hello", { maxTokens: 2, temperature: 0 }));
    const written = await chat.save();
    for (const [name, call] of Object.entries({
      score: () => model.score(PROMPT, [" She"], aborted),
      step: () => session.step(11, aborted),
      fork: () => session.fork(aborted),
      save: () => session.save(aborted),
      restore: () => model.restore(saved, aborted),
      "fork of a chat": () => chat.fork(aborted),
      "save of a chat": () => chat.save(aborted),
      "restore of a chat": () => chat.restore(written, aborted),
    })) {
      equal(await failure(call), reason, name);
      equal(session.length, 4, `length after ${name}`);
      const wrong = await failure(() => model.score(PROMPT, [" She"], { signal: 5 }));
      equal(wrong instanceof deltallm.OptionError, true, `class of ${wrong}`);
    }
    equal(chat.messages.length, 2, "messages");
    const controller = new AbortController();
    const fractions = [];
    const onProgress = ({ fraction }) => {
      fractions.push(fraction);
      controller.abort(reason);
    };
    const { signal } = controller;
    // So many that the message with the abort arrives long before the last one, on a busy machine too.
    const many = Array(400).fill(" She loved to play with her toys");
    equal(await failure(() => model.score(PROMPT, many, { signal, onProgress })), reason, "midway");
    equal(fractions.length > 0 && fractions.at(-1) < 1, true, `${fractions.at(-1)} of all`);
    const other = await model.restore(saved, { signal: new AbortController().signal });
    sameBits(await other.step(11, {}), await session.step(11));
    for (const each of [session, other, chat]) await each.dispose();
  },

  async score({ model }) {
    const [likely, unlikely] = await model.score(PROMPT, [" She loved to play", " Car sky of of"]);
    equal(likely.logprob > unlikely.logprob, true, "order");
    equal(likely.logprobs instanceof Float32Array, true, "logprobs");
  },

  async "errors keep class, place and hint"({ model, deltallm }) {
    const session = model.createSession();
    const error = await failure(() => session.prefill([10 ** 6]));
    equal(error instanceof deltallm.OptionError, true, `class of ${error}`);
    equal(error.name, "OptionError", "name");
    equal(error.place.key, "ids[0]", "place");
    equal(error.hint.startsWith("Ids go from 0"), true, "hint");
    equal(error.message.includes("1000000"), true, "message");
    await session.dispose();
    const after = await failure(() => session.step(1));
    equal(after instanceof Error, true, "a session after dispose");
  },

  async "bytes that are no model are refused"({ deltallm }) {
    const error = await failure(() => deltallm.loadModel(new Uint8Array(64)));
    equal(error instanceof deltallm.DeltaLLMError, true, `class of ${error}`);
  },

  async "loading can be aborted"({ deltallm, source }) {
    const error = await failure(() => deltallm.loadModel(source, { signal: AbortSignal.abort() }));
    equal(error.name, "AbortError", "name");
  },

  async "a source of one's own is read"({ deltallm, bytes }) {
    if (!bytes) return;
    let reads = 0;
    const own = {
      name: "own",
      size: bytes.length,
      async read(offset, length) {
        reads++;
        return bytes.slice(offset, offset + length);
      },
    };
    const model = await deltallm.loadModel(own, { threads: 1, contextLength: 64 });
    equal(reads > 1, true, "reads");
    equal(model.file.allTensors.length > 10, true, "tensors");
    equal((await model.file.allTensors[0].source.read(0, 4)).length, 4, "read through the model file");
    await model.dispose();
  },

  async "dispose in the middle of a generation ends it"({ deltallm, source }) {
    const model = await deltallm.loadModel(source, { threads: 2, contextLength: 64 });
    let pieces = 0;
    const error = await failure(async () => {
      for await (const _ of model.generate(PROMPT, { temperature: 0 })) if (++pieces === 2) await model.dispose();
    });
    equal(error.name, "SessionError", "name");
    equal(pieces, 2, "pieces");
  },

  async "generate, dispose, and nothing after that"({ model }) {
    await model.dispose();
    await model.dispose();
    const error = await failure(() => textOf(model.generate(PROMPT, { maxTokens: 1 })));
    equal(error.name, "SessionError", "name");
  },
};
