import { test } from "uvu";
import * as assert from "uvu/assert";
import { DeltaLLMError, OptionError, SessionError } from "#src/errors.js";
import { type LoadOptions, loadModel, type Model } from "#src/index.js";
import { rejection } from "../formats/source-conformance.js";

// What a program may hand over by mistake: each is an error of this package, at once, and names what is wrong.

const load = (options: unknown, source: unknown = "embedded") => loadModel(source as string, options as LoadOptions);

test("options that cannot be used are refused before anything is read, by name", async () => {
  for (const [options, words] of [
    [{ threads: 1_000_000 }, /threads is 1000000.*at most 64/],
    [{ threads: 0 }, /threads is 0/],
    [{ threads: "2" }, /threads is "2"/],
    [{ contextLength: 100_000 }, /100000 tokens is more than .* was made for.*contextLength.*at most 1024/],
    [{ contextLength: 1.5 }, /contextLength is 1\.5/],
    [{ prefillChunk: 1e9 }, /prefillChunk/],
    [{ kernel: "gpu" }, /kernel is "gpu"/],
    [{ signal: 5 }, /signal is 5, not an AbortSignal/],
    [{ attention: { kind: "nope" } }, /attention\.kind must be one of full, delta/],
    [{ attention: { threshold: Number.NaN } }, /attention\.threshold/],
    [{ attention: { targetSparsity: 2 } }, /attention\.targetSparsity/],
    [{ attention: "delta" }, /attention is "delta"/],
    [5, /options are 5/],
    [null, /options are null/],
  ] as const) {
    const error = await rejection(load(options));
    assert.instance(error, OptionError, `${JSON.stringify(options)}: ${error.stack}`);
    assert.match(error.message, words);
  }
});

test("what is not a model is an error of this package", async () => {
  for (const source of [null, {}, 5, "", "http://", [], Symbol.iterator])
    assert.instance(await rejection(load({}, source)), DeltaLLMError, String(source));
});

test("what is not a prompt, no tokens, no options and no saved session is an error of this package", async () => {
  await using model = await loadModel("embedded", { threads: 1, contextLength: 64 });
  const first = async (prompt: unknown, options?: unknown) => {
    for await (const _ of model.generate(prompt as string, options as object)) break;
  };
  for (const prompt of [null, undefined, 5, {}])
    assert.instance(await rejection(first(prompt)), DeltaLLMError, String(prompt));
  for (const [options, words] of [
    [{ signal: 5 }, /signal is 5/],
    [{ maxTokens: "5" }, /"5" cannot be used, it must be a whole number/],
    [{ topP: "x" }, /"x" cannot be used/],
    [null, /options are null/],
  ] as const) {
    const error = await rejection(first("Once", options));
    assert.instance(error, OptionError, error.stack);
    assert.match(error.message, words);
  }
  const session = model.createSession();
  for (const ids of [{ length: 1e9 }, { length: Number.MAX_SAFE_INTEGER }, null, 5, "ab", [1.5], [-1]])
    for (const allLogits of [false, true])
      assert.instance(
        await rejection(session.prefill(ids as number[], { allLogits })),
        DeltaLLMError,
        JSON.stringify(ids),
      );
  assert.instance(await rejection(session.prefill([1], { signal: 5 as unknown as AbortSignal })), OptionError);
  assert.is(session.length, 0);
  for (const bytes of [null, undefined, "x", new ArrayBuffer(8)])
    assert.instance(await rejection(model.restore(bytes as unknown as Uint8Array)), SessionError);
});

test("a chat of a model that was disposed of says so", async () => {
  const model: Model = await loadModel("embedded", { threads: 1 });
  const chat = model.createChat();
  await model.dispose();
  const send = async () => {
    for await (const _ of chat.send("Hi")) break;
  };
  assert.instance(await rejection(send()), SessionError);
});

test.run();
