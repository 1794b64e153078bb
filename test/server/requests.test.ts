import * as assert from "uvu/assert";
import { events, post, sharedModel, storyHandler, test } from "./helpers.js";

const user = [{ role: "user", content: "Hi" }];

test("errors have OpenAI's shape and name the parameter", async () => {
  const handle = await storyHandler();
  const cases: [path: string, body: unknown, status: number, param: string | null, code: string | null][] = [
    ["/v1/chat/completions", {}, 400, "messages", "missing_required_parameter"],
    ["/v1/chat/completions", { messages: [] }, 400, "messages", "empty_array"],
    ["/v1/chat/completions", { messages: "hi" }, 400, "messages", "invalid_value"],
    ["/v1/chat/completions", { messages: [{ role: "robot", content: "" }] }, 400, "messages[0].role", "invalid_value"],
    [
      "/v1/chat/completions",
      { messages: [{ role: "user" }] },
      400,
      "messages[0].content",
      "missing_required_parameter",
    ],
    [
      "/v1/chat/completions",
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "x" } }] }] },
      400,
      "messages[0].content[0]",
      "unsupported_value",
    ],
    ["/v1/chat/completions", { messages: user, temperature: "hot" }, 400, "temperature", "invalid_value"],
    ["/v1/chat/completions", { messages: user, temperature: -1 }, 400, "temperature", "invalid_value"],
    ["/v1/chat/completions", { messages: user, max_tokens: 1.5 }, 400, "max_tokens", "invalid_value"],
    ["/v1/chat/completions", { messages: user, n: 0 }, 400, "n", "invalid_value"],
    ["/v1/chat/completions", { messages: user, n: 100 }, 400, "n", "invalid_value"],
    ["/v1/chat/completions", { messages: user, stop: [1] }, 400, "stop[0]", "invalid_value"],
    ["/v1/chat/completions", { messages: user, frobnicate: 1 }, 400, "frobnicate", "unknown_parameter"],
    ["/v1/chat/completions", { messages: user, constructor: 1 }, 400, "constructor", "unknown_parameter"],
    ["/v1/chat/completions", { messages: user, top_logprobs: 3 }, 400, "top_logprobs", "invalid_value"],
    ["/v1/chat/completions", { messages: user, tool_choice: "required" }, 400, "tool_choice", "invalid_value"],
    [
      "/v1/chat/completions",
      { messages: user, response_format: { type: "xml" } },
      400,
      "response_format.type",
      "invalid_value",
    ],
    [
      "/v1/chat/completions",
      { messages: user, stream_options: { x: 1 } },
      400,
      "stream_options.x",
      "unknown_parameter",
    ],
    ["/v1/chat/completions", { messages: user, model: "other" }, 404, "model", "model_not_found"],
    ["/v1/chat/completions", "{", 400, null, "invalid_json"],
    ["/v1/chat/completions", "[1]", 400, null, "invalid_json"],
    ["/v1/chat/completions", "[".repeat(100_000), 400, null, "invalid_json"],
    ["/v1/completions", {}, 400, "prompt", "missing_required_parameter"],
    ["/v1/completions", { prompt: [1, "a"] }, 400, "prompt[0]", "invalid_value"],
    ["/v1/completions", { prompt: "a", best_of: 3 }, 400, "best_of", "unsupported_value"],
    ["/v1/responses", {}, 400, "input", "missing_required_parameter"],
    ["/v1/responses", { input: "a", previous_response_id: "x" }, 400, "previous_response_id", "unsupported_parameter"],
    ["/tokenize", {}, 400, "content", "missing_required_parameter"],
    ["/detokenize", { tokens: [1e9] }, 400, "tokens[0]", "invalid_value"],
    ["/v1/nothing", {}, 404, null, "not_found"],
  ];
  for (const [path, body, status, param, code] of cases) {
    const response = await handle(post(path, body));
    const what = `${path} ${JSON.stringify(body).slice(0, 100)}`;
    assert.is(response.status, status, what);
    const { error } = await response.json();
    assert.type(error.message, "string", what);
    assert.type(error.type, "string", what);
    assert.is(error.param, param, what);
    assert.is(error.code, code, what);
  }
});

test("parameters that cannot change the answer, and null, are accepted", async () => {
  const handle = await storyHandler();
  const response = await handle(
    post("/v1/chat/completions", {
      messages: user,
      max_tokens: 2,
      user: "me",
      metadata: { a: "b" },
      store: true,
      temperature: null,
      tools: null,
      cache_prompt: true,
    }),
  );
  assert.is(response.status, 200);
});

test("a conversation longer than the context is refused by name", async () => {
  const handle = await storyHandler();
  const response = await handle(
    post("/v1/chat/completions", { messages: [{ role: "user", content: "word ".repeat(5000) }] }),
  );
  assert.is(response.status, 400);
  assert.is((await response.json()).error.code, "context_length_exceeded");
});

test("completions take texts, ids and lists of them, and echo", async () => {
  const handle = await storyHandler();
  const model = await sharedModel();
  const complete = async (body: object) =>
    (await (await handle(post("/v1/completions", { seed: 1, max_tokens: 6, ...body }))).json()).choices.map(
      ({ text }: { text: string }) => text,
    );
  const [text] = await complete({ prompt: "Once upon a time" });
  assert.equal(await complete({ prompt: [...model.tokenizer.encode("Once upon a time", { addBos: true })] }), [text]);
  assert.equal(await complete({ prompt: "Once upon a time", echo: true }), [`Once upon a time${text}`]);
  const [other] = await complete({ prompt: "One day" });
  assert.equal(await complete({ prompt: ["Once upon a time", "One day"] }), [text, other]);
  const stream = await (
    await handle(post("/v1/completions", { prompt: "Once upon a time", seed: 1, max_tokens: 6, stream: true }))
  ).text();
  assert.is(
    events(stream)
      .map(({ data }) => data.choices?.[0]?.text ?? "")
      .join(""),
    text,
  );
});

test("responses: whole and streamed alike, events numbered in order", async () => {
  const handle = await storyHandler();
  const body = { input: "Tell me a story", instructions: "Be kind", seed: 2, max_output_tokens: 8 };
  const whole = await (await handle(post("/v1/responses", body))).json();
  assert.is(whole.object, "response");
  assert.is(whole.status, "incomplete");
  assert.is(whole.usage.output_tokens, 8);
  const all = events(await (await handle(post("/v1/responses", { ...body, stream: true }))).text());
  assert.is(all.pop()?.data, "[DONE]");
  assert.equal(
    all.map(({ data }) => data.sequence_number),
    all.map((_, i) => i),
  );
  assert.ok(all.every(({ event, data }) => event === data.type));
  assert.is(all[0]?.event, "response.created");
  assert.is(all.at(-1)?.event, "response.incomplete");
  assert.is(
    all.map(({ data }) => (data.type === "response.output_text.delta" ? data.delta : "")).join(""),
    whole.output[0].content[0].text,
  );
});

test("a tool that must be called is called, once where only one call is wanted", async () => {
  const handle = await storyHandler();
  const look = {
    type: "object",
    properties: { at: { enum: ["sun", "moon"] } },
    required: ["at"],
    additionalProperties: false,
  };
  const body = {
    messages: user,
    seed: 1,
    max_tokens: 150,
    tools: [{ type: "function", function: { name: "look", parameters: look } }],
    tool_choice: "required",
    parallel_tool_calls: false,
  };
  const { choices } = await (await handle(post("/v1/chat/completions", body))).json();
  assert.is(choices[0].finish_reason, "tool_calls");
  assert.is(choices[0].message.tool_calls.length, 1);
  const [call] = choices[0].message.tool_calls;
  assert.is(call.function.name, "look");
  assert.ok(["sun", "moon"].includes(JSON.parse(call.function.arguments).at));
  const all = events(await (await handle(post("/v1/chat/completions", { ...body, stream: true }))).text());
  const deltas = all.flatMap(({ data }) => data.choices?.[0]?.delta?.tool_calls ?? []);
  assert.is(deltas.map((delta) => delta.function.arguments).join(""), call.function.arguments);
  assert.is(deltas[0].id, call.id);
});

test("embeddings: texts, ids, base64, fewer dimensions", async () => {
  const handle = await storyHandler();
  const embed = async (body: object) => (await (await handle(post("/v1/embeddings", body))).json()).data;
  const [one, two] = await embed({ input: ["A cat", "A dog"] });
  assert.is(one.index, 0);
  assert.is(two.embedding.length, (await sharedModel()).config.hidden);
  assert.ok(Math.abs(one.embedding.reduce((sum: number, each: number) => sum + each * each, 0) - 1) < 1e-4);
  const [packed] = await embed({ input: "A cat", encoding_format: "base64" });
  assert.equal([...new Float32Array(Uint8Array.from(Buffer.from(packed.embedding, "base64")).buffer)], one.embedding);
  assert.is((await embed({ input: "A cat", dimensions: 8 }))[0].embedding.length, 8);
});

test("tokenize and detokenize are each other's way back", async () => {
  const handle = await storyHandler();
  const { tokens } = await (await handle(post("/tokenize", { content: "Once upon a time" }))).json();
  assert.ok(tokens.length > 1);
  const { content } = await (await handle(post("/detokenize", { tokens }))).json();
  assert.is(content.trim(), "Once upon a time");
});

test.run();
