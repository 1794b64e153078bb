// One suite for every runtime: plain functions of what `import … from "deltallm"` gives. Each gets
// `{ deltallm, source, load, expect }` and throws when something is not as it should be.

/** First words of the story model, always the likeliest token. */
export const PROMPT = "Once upon a time, there was a little girl named Lily.";
export const STORY =
  " She loved to play with her toys and eat yummy food. One day, Lily's mom told her that they were going to a party.";

export const checks = {
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
    equal(await failure(() => model.score(PROMPT, Array(50).fill(" She"), { signal, onProgress })), reason, "midway");
    equal(fractions.length > 0 && fractions.length < 50, true, `${fractions.length} of 50`);
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

/**
 * Runs the suite and returns what the table of runtimes shows.
 * @param source of the story model
 * @param options threads, workerUrl
 * @param bytes the story model's, for the checks that read them themselves
 * @param smollm2 `{ source, calibration }`: one more model to hash
 */
export async function runSuite(deltallm, source, options = {}, { bytes, smollm2 } = {}) {
  const failures = [];
  const progress = [];
  globalThis.stage = "loading";
  const model = await deltallm.loadModel(source, {
    contextLength: 512,
    ...options,
    onProgress: ({ phase, fraction }) => progress.push([phase, fraction]),
  });
  if (!progress.some(([phase, fraction]) => phase === "weights" && fraction === 1))
    failures.push("progress of loading");
  const hashes = await hashesOf(deltallm, "story", source, options);
  if (smollm2) hashes.push(...(await hashesOf(deltallm, "SmolLM2", smollm2.source, options, smollm2.calibration)));
  for (const [name, check] of Object.entries(checks)) {
    globalThis.stage = name; // for whoever has to find out where it hangs
    try {
      await check({ model, deltallm, source, bytes });
    } catch (error) {
      failures.push(`${name}: ${error?.stack ?? error}`);
    }
  }
  for (const { model: name, attention, deltaSparsity } of hashes)
    if (attention === "delta" && !(deltaSparsity > 0.2))
      failures.push(`delta attention of ${name} dropped only ${deltaSparsity}`);
  const { threads, threadsReason, kernel } = model.stats();
  return { failures, hashes, threads, threadsReason, kernel };
}

/**
 * What is hashed, by model: the settings as `deltallm verify` prints them and as `loadModel` takes them. The embedded
 * model brings its calibration, the other one is given a small one.
 */
const hashed = {
  story: [
    { settings: "default", attention: {} },
    {
      settings: "attention=delta basis=score sparsity=0.6 window=16",
      attention: { kind: "delta", basis: "score", targetSparsity: 0.6, window: 16 },
    },
    { settings: "preset=fast", attention: { preset: "fast" } },
    { settings: "preset=small", attention: { preset: "small" } },
  ],
  SmolLM2: [
    { settings: "default", attention: {} },
    {
      settings: "attention=delta basis=raw sparsity=0.6 thresholds=d8aad898f777d990 window=16",
      attention: { kind: "delta", basis: "raw", targetSparsity: 0.6, window: 16 },
    },
  ],
};

/** The hashes of one model, with full and with delta attention. */
export async function hashesOf(deltallm, name, source, options = {}, calibration = undefined) {
  const hashes = [];
  for (const { settings, attention } of hashed[name]) {
    globalThis.stage = `hash of ${name}, ${settings}`;
    const { preset, kind = preset === "small" ? "delta" : "full" } = attention;
    // The embedded model brings its calibration only by that name.
    if ((kind === "delta" || preset) && !calibration && source !== "embedded") continue;
    const hash = await hashOf(deltallm, source, {
      ...options,
      attention: kind === "full" ? attention : { ...attention, calibration },
    });
    hashes.push({ model: name, attention: kind, settings, ...hash });
  }
  return hashes;
}

/** The hash that `deltallm verify` prints: SHA-256 over the SHA-256 of each row of logits of a fixed prompt. */
async function hashOf(deltallm, source, options) {
  // Selection chooses among keys that are far from both ends.
  const [length, contextLength] = options.attention.preset ? [448, 512] : [96, 256];
  const model = await deltallm.loadModel(source, { ...options, contextLength });
  const { vocab } = model.config;
  const ids = Array.from({ length }, (_, i) => ((i * 7919 + 17) * 104729) % vocab);
  const digests = [];
  const add = async (row) => digests.push(...new Uint8Array(await crypto.subtle.digest("SHA-256", row)));
  const session = model.createSession();
  let last;
  for (let start = 0; start < length; start += length / 4) {
    const rows = await session.prefill(ids.slice(start, start + length / 4), { allLogits: true });
    for (let at = 0; at < rows.length; at += vocab) {
      last = rows.slice(at, at + vocab);
      await add(last);
    }
  }
  for (let i = 0; i < 16; i++) {
    last = await session.step(last.indexOf(Math.max(...last)));
    await add(last);
  }
  const { attention, decode } = model.stats();
  await model.dispose();
  const hash = await crypto.subtle.digest("SHA-256", Uint8Array.from(digests));
  return {
    hash: Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join(""),
    deltaSparsity: attention.deltaSparsity,
    tokensPerSecond: decode.tokensPerSecond,
  };
}

async function textOf(pieces) {
  let text = "";
  for await (const piece of pieces) text += piece.text;
  return text;
}

async function failure(run) {
  try {
    await run();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

function equal(actual, expected, what) {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)} instead of ${String(expected)}`);
}

function sameBits(a, b) {
  const bits = (x) => new Uint32Array(x.buffer, x.byteOffset, x.length);
  equal(a.length, b.length, "length");
  equal(
    bits(a).findIndex((value, i) => value !== bits(b)[i]),
    -1,
    "first different logit",
  );
}
