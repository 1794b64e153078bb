import { loadModel } from "deltallm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createLanguageModel } from "#src/adapters/prompt-api.js";
import { testModel } from "#src/adapters/testing.js";
import { UnsupportedError } from "#src/errors.js";

const loaded = await testModel();
test.after(() => loaded.dispose());
const LanguageModel = createLanguageModel(loaded, { maxTokens: 10, seed: 2 });

test("create, prompt, stream, clone: the answers of a chat", async () => {
  assert.is(await LanguageModel.availability(), "available");
  const initialPrompts = [{ role: "system" as const, content: "Tell." }];
  const session = await LanguageModel.create({ initialPrompts, temperature: 0, topK: 1 });
  const text = await session.prompt("Once upon a time");
  const messages = [...initialPrompts, { role: "user", content: "Once upon a time" }];
  assert.is(text, (await loaded.complete(messages, { temperature: 0, maxTokens: 10 })).text);
  assert.is(session.contextUsage, (await loaded.complete(messages, { maxTokens: 0 })).usage.promptTokens + 10);
  assert.is(session.contextWindow, loaded.contextLength);
  assert.ok((await session.measureContextUsage("A dog")) > 2);
  const clone = await session.clone();
  let streamed = "";
  for await (const part of session.promptStreaming("More")) streamed += part;
  assert.is(await clone.prompt("More"), streamed);
  session.destroy();
  clone.destroy();
});

test("prompts wait for each other, appended messages are answered with the next one, a constraint holds", async () => {
  const session = await LanguageModel.create({ temperature: 0 });
  const other = await LanguageModel.create({ temperature: 0 });
  const both = await Promise.all([session.prompt("A dog"), session.prompt("A cat")]);
  assert.equal(both, [await other.prompt("A dog"), await other.prompt("A cat")]);
  await session.append([{ role: "user", content: [{ type: "text", value: "He is red." }] }]);
  assert.match(await session.prompt("Is he?", { responseConstraint: /yes|no/ }), /^(yes|no)$/);
  const json = await session.prompt("Is he?", { responseConstraint: { enum: ["yes", "no"] } });
  assert.ok(["yes", "no"].includes(JSON.parse(json)), json);
  const image = [{ role: "user" as const, content: [{ type: "image" as const, value: new Uint8Array() }] }];
  assert.instance(await session.prompt(image).catch((error) => error), UnsupportedError);
  const error = await session.prompt("x", { signal: AbortSignal.abort() }).catch((error) => error);
  assert.is(error.name, "AbortError");
  assert.ok((await session.prompt("Go on")).length > 0);
});

test("a model that is loaded at the first create tells how far it is; a full context is an event", async () => {
  const lazy = createLanguageModel(
    (onProgress) =>
      loadModel("embedded", { threads: 1, contextLength: 64, onProgress: ({ fraction }) => onProgress(fraction) }),
    { maxTokens: 12, seed: 1 },
  );
  assert.is(await lazy.availability(), "downloadable");
  let progress = 0;
  const session = await lazy.create({
    monitor: (monitor) =>
      monitor.addEventListener("downloadprogress", (event) => {
        progress = Math.max(progress, (event as Event & { loaded: number }).loaded);
      }),
  });
  assert.is(progress, 1);
  assert.is(await lazy.availability(), "available");
  let overflows = 0;
  session.oncontextoverflow = () => overflows++;
  for (let turn = 0; turn < 6; turn++) await session.prompt("Once upon a time there was a dog");
  assert.ok(overflows > 0);
  session.destroy();
});

test.run();
