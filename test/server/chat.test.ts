import * as assert from "uvu/assert";
import { events, eventually, post, sharedModel, storyHandler, streamedText, test } from "./helpers.js";

const ask = { messages: [{ role: "user", content: "Once upon a time" }], seed: 7, max_tokens: 12 };

test("a chat completion has OpenAI's shape, usage and llama-server's timings", async () => {
  const handle = await storyHandler();
  const response = await handle(post("/v1/chat/completions", ask));
  assert.is(response.status, 200);
  const answer = await response.json();
  assert.match(answer.id, /^chatcmpl-/);
  assert.is(answer.object, "chat.completion");
  assert.is(answer.model, "story");
  assert.match(answer.system_fingerprint, /^fp_[0-9a-f]{16}$/);
  assert.is(answer.choices.length, 1);
  assert.is(answer.choices[0].message.role, "assistant");
  assert.is(answer.choices[0].finish_reason, "length");
  assert.is(answer.usage.completion_tokens, 12);
  assert.is(answer.usage.total_tokens, answer.usage.prompt_tokens + 12);
  assert.type(answer.usage.prompt_tokens_details.cached_tokens, "number");
  assert.is(answer.timings.predicted_n, 12);
});

test("a stream gives the same text: role first, finish reason, usage, [DONE]", async () => {
  const handle = await storyHandler();
  const whole = await (await handle(post("/v1/chat/completions", ask))).json();
  const response = await handle(
    post("/v1/chat/completions", { ...ask, stream: true, stream_options: { include_usage: true } }),
  );
  assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
  const text = await response.text();
  const all = events(text);
  assert.equal(all[0]?.data.choices[0].delta, { role: "assistant", content: "" });
  assert.is(streamedText(text), whole.choices[0].message.content);
  assert.is(all.at(-3)?.data.choices[0].finish_reason, "length");
  assert.equal(all.at(-2)?.data.choices, []);
  assert.is(all.at(-2)?.data.usage.completion_tokens, 12);
  assert.is(all.at(-1)?.data, "[DONE]");
});

test("without stream_options no chunk has a usage", async () => {
  const handle = await storyHandler();
  const text = await (await handle(post("/v1/chat/completions", { ...ask, stream: true }))).text();
  assert.ok(events(text).every(({ data }) => data === "[DONE]" || !("usage" in data)));
});

test("n answers are those of consecutive seeds", async () => {
  const handle = await storyHandler();
  const { choices } = await (await handle(post("/v1/chat/completions", { ...ask, n: 3 }))).json();
  assert.equal(
    choices.map(({ index }: { index: number }) => index),
    [0, 1, 2],
  );
  for (const [i, choice] of choices.entries()) {
    const alone = await (await handle(post("/v1/chat/completions", { ...ask, seed: 7 + i }))).json();
    assert.is(choice.message.content, alone.choices[0].message.content);
  }
});

test("answers computed together are those computed alone, streamed or not", async () => {
  const handle = await storyHandler({ parallel: 4 });
  const requests = Array.from({ length: 10 }, (_, i) => ({
    messages: [{ role: "user", content: `Tell me about number ${i}` }],
    seed: i,
    max_tokens: 5 + 3 * i,
  }));
  const alone: string[] = [];
  for (const request of requests)
    alone.push((await (await handle(post("/v1/chat/completions", request))).json()).choices[0].message.content);
  const together = await Promise.all(
    requests.map(async (request, i) => {
      const response = await handle(post("/v1/chat/completions", { ...request, stream: i % 2 === 0 }));
      return i % 2 === 0 ? streamedText(await response.text()) : (await response.json()).choices[0].message.content;
    }),
  );
  assert.equal(together, alone);
});

test("a cut stream goes on where it stopped", async () => {
  const handle = await storyHandler();
  const text = await (await handle(post("/v1/chat/completions", { ...ask, stream: true }))).text();
  const all = events(text);
  for (const [how, from] of [
    ["body", 5],
    ["header", 3],
  ] as const) {
    const rest = await handle(
      how === "body"
        ? post("/v1/chat/completions", { ...ask, stream: true, resume_from: from })
        : post("/v1/chat/completions", { ...ask, stream: true }, { headers: { "Last-Event-ID": String(from) } }),
    );
    const before = all
      .filter(({ id }) => id !== undefined && Number(id) <= from)
      .map(({ data }) => data.choices[0].delta.content ?? "")
      .join("");
    assert.is(before + streamedText(await rest.text()), streamedText(text));
  }
  const unseeded = await handle(post("/v1/chat/completions", { ...ask, seed: null, stream: true, resume_from: 2 }));
  assert.is(unseeded.status, 400);
  assert.is((await unseeded.json()).error.param, "resume_from");
});

test("a client that goes away frees its place, streaming or waiting for the whole", async () => {
  const handle = await storyHandler({ parallel: 1 });
  for (const stream of [true, false]) {
    const controller = new AbortController();
    const cut = handle(
      post("/v1/chat/completions", { ...ask, max_tokens: 900, stream }, { signal: controller.signal }),
    ).catch(() => undefined);
    await eventually(() => handle.load.running === 1);
    const response = stream ? await cut : undefined;
    if (stream) await response?.body?.getReader().read();
    controller.abort();
    await cut;
    await eventually(() => handle.load.running === 0);
  }
  const again = await handle(post("/v1/chat/completions", ask));
  assert.is(again.status, 200);
});

test.once("a stream whose reader goes away frees its place at once", async () => {
  const handle = await storyHandler({ parallel: 1 });
  const response = await handle(post("/v1/chat/completions", { ...ask, max_tokens: 400, stream: true }));
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  await reader.read();
  assert.is(handle.load.running, 1);
  await reader.cancel();
  assert.is(handle.load.running, 0);
});

test.once("who does not read stops the writing", async () => {
  const handle = await storyHandler();
  const model = await sharedModel();
  const response = await handle(post("/v1/chat/completions", { ...ask, max_tokens: 300, stream: true }));
  await new Promise((resolve) => setTimeout(resolve, 400));
  const before = model.stats().decode.tokens;
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.is(model.stats().decode.tokens, before);
  await response.body?.cancel();
});

test("the rest of a cut answer can be asked for as a whole too", async () => {
  const handle = await storyHandler();
  const content = async (more: object) =>
    (await (await handle(post("/v1/chat/completions", { ...ask, ...more }))).json()).choices[0].message.content;
  const all = events(await (await handle(post("/v1/chat/completions", { ...ask, stream: true }))).text());
  const before = all.filter(({ id }) => Number(id) <= 5).map(({ data }) => data.choices[0].delta.content ?? "");
  assert.is(before.join("") + (await content({ resume_from: 5 })), await content({}));
});

test("a system message of the server's stands in where there is none", async () => {
  const plain = await storyHandler();
  const told = await storyHandler({ system: "Be brief." });
  const usage = async (handle: typeof plain, messages: object[]) =>
    (await (await handle(post("/v1/chat/completions", { ...ask, messages }))).json()).usage.prompt_tokens;
  const user = { role: "user", content: "Hi" };
  assert.ok((await usage(told, [user])) > (await usage(plain, [user])));
  const own = { role: "system", content: "Be long." };
  assert.is(await usage(told, [own, user]), await usage(plain, [own, user]));
});

test.run();
