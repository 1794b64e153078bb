import OpenAI from "openai";

const tools = [
  {
    type: "function",
    function: {
      name: "weather",
      description: "Weather of a town",
      parameters: {
        type: "object",
        properties: { town: { type: "string", maxLength: 20 }, unit: { enum: ["celsius", "fahrenheit"] } },
        required: ["town", "unit"],
        additionalProperties: false,
      },
    },
  },
];
const schema = {
  type: "object",
  properties: { name: { type: "string", maxLength: 12 }, age: { type: "integer", minimum: 0, maximum: 120 } },
  required: ["name", "age"],
  additionalProperties: false,
};

export async function run({ baseURL, apiKey, model, check, expect }) {
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
  const messages = [{ role: "user", content: "Tell me a story." }];
  const ask = { model, messages, seed: 4, max_tokens: 24 };
  let text = "";
  await check("openai: chat completion", async () => {
    const answer = await client.chat.completions.create(ask);
    text = answer.choices[0].message.content;
    expect(text.length > 10 && answer.usage.completion_tokens === 24, answer);
  });
  await check("openai: stream with usage", async () => {
    let streamed = "";
    let usage;
    const stream = await client.chat.completions.create({
      ...ask,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      streamed += chunk.choices[0]?.delta?.content ?? "";
      usage = chunk.usage ?? usage;
    }
    expect(streamed === text && usage.completion_tokens === 24, { streamed, text, usage });
  });
  await check("openai: the helper that collects a stream", async () => {
    const stream = client.chat.completions.stream(ask);
    expect((await stream.finalContent()) === text, "another text");
  });
  await check("openai: log-probabilities", async () => {
    const { choices } = await client.chat.completions.create({
      ...ask,
      logprobs: true,
      top_logprobs: 3,
      max_tokens: 4,
    });
    const { content } = choices[0].logprobs;
    expect(
      content.length === 4 && content.every((each) => each.top_logprobs.length === 3 && each.logprob <= 0),
      content,
    );
  });
  await check("openai: structured output", async () => {
    const { choices } = await client.chat.completions.create({
      ...ask,
      max_tokens: 200,
      response_format: { type: "json_schema", json_schema: { name: "person", schema, strict: true } },
    });
    const value = JSON.parse(choices[0].message.content);
    expect(typeof value.name === "string" && Number.isInteger(value.age), value);
    expect(choices[0].finish_reason === "stop", choices[0]);
  });
  await check("openai: a tool that must be called", async () => {
    const { choices } = await client.chat.completions.create({
      ...ask,
      max_tokens: 200,
      tools,
      tool_choice: "required",
      parallel_tool_calls: false,
    });
    const [call] = choices[0].message.tool_calls;
    expect(call.function.name === "weather" && call.id !== "", call);
    expect(typeof JSON.parse(call.function.arguments).town === "string", call);
    expect(choices[0].finish_reason === "tool_calls", choices[0]);
  });
  await check("openai: a tool call as a stream, and the answer to its result", async () => {
    const stream = client.chat.completions.stream({
      ...ask,
      max_tokens: 200,
      tools,
      tool_choice: { type: "function", function: { name: "weather" } },
    });
    const { choices } = await stream.finalChatCompletion();
    const [call] = choices[0].message.tool_calls;
    JSON.parse(call.function.arguments);
    const next = await client.chat.completions.create({
      ...ask,
      messages: [...messages, choices[0].message, { role: "tool", tool_call_id: call.id, content: "sunny" }],
    });
    expect(next.choices[0].message.content.length > 0, next);
  });
  await check("openai: text completion, several prompts", async () => {
    const { choices } = await client.completions.create({
      model,
      prompt: ["Once", "One day"],
      n: 2,
      max_tokens: 5,
      seed: 1,
    });
    expect(choices.length === 4 && choices.every(({ index }, i) => index === i), choices);
  });
  await check("openai: responses", async () => {
    const response = await client.responses.create({ model, input: "Hello", max_output_tokens: 12 });
    expect(response.output_text.length > 0 && response.usage.output_tokens === 12, response);
    const stream = client.responses.stream({ model, input: "Hello", max_output_tokens: 12 });
    const final = await stream.finalResponse();
    expect(final.output_text.length > 0, final);
  });
  await check("openai: embeddings", async () => {
    // The package asks for base64 by itself and gives numbers.
    const { data, usage } = await client.embeddings.create({ model, input: ["A dog", "A cat"] });
    expect(data.length === 2 && usage.prompt_tokens > 2, usage);
    const length = Math.hypot(...data[1].embedding);
    expect(Math.abs(length - 1) < 1e-4, length);
    const shorter = await client.embeddings.create({ model, input: "A dog", dimensions: 8, encoding_format: "float" });
    expect(shorter.data[0].embedding.length === 8, shorter);
  });
  await check("openai: models", async () => {
    const names = [];
    for await (const each of client.models.list()) names.push(each.id);
    expect(names.includes(model), names);
    expect((await client.models.retrieve(model)).id === model, "retrieve");
  });
  await check("openai: abort", async () => {
    const controller = new AbortController();
    const stream = await client.chat.completions.create(
      { ...ask, max_tokens: 500, stream: true },
      { signal: controller.signal },
    );
    let chunks = 0;
    for await (const _ of stream) if (++chunks === 3) controller.abort();
    expect(chunks < 100, chunks);
  });
  await check("openai: errors are those of the package", async () => {
    const fails = async (promise, type, param) => {
      const error = await promise.then(
        () => undefined,
        (reason) => reason,
      );
      expect(
        error instanceof type && (param === undefined || error.param === param),
        `${error?.constructor.name} ${error?.param}`,
      );
    };
    await fails(client.chat.completions.create({ ...ask, model: "none" }), OpenAI.NotFoundError, "model");
    await fails(client.chat.completions.create({ ...ask, temperature: -1 }), OpenAI.BadRequestError, "temperature");
    await fails(new OpenAI({ baseURL, apiKey: "no", maxRetries: 0 }).models.list(), OpenAI.AuthenticationError);
  });
}
