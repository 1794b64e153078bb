import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateObject, generateText, jsonSchema, streamObject, streamText, tool } from "ai";

export async function run({ baseURL, apiKey, model: name, check, expect }) {
  const provider = createOpenAICompatible({
    name: "deltallm",
    baseURL,
    apiKey,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
  const model = provider(name);
  const common = { model, maxRetries: 0, seed: 4, maxOutputTokens: 24 };
  let text = "";
  await check("ai: generateText", async () => {
    const result = await generateText({ ...common, prompt: "Tell me a story." });
    text = result.text;
    expect(text.length > 10 && result.usage.outputTokens === 24, result.usage);
  });
  await check("ai: streamText", async () => {
    const { textStream, usage } = streamText({ ...common, prompt: "Tell me a story." });
    let streamed = "";
    for await (const part of textStream) streamed += part;
    expect(streamed === text, { streamed, text });
    expect((await usage).outputTokens === 24, await usage);
  });
  await check("ai: generateObject", async () => {
    const { object } = await generateObject({
      ...common,
      maxOutputTokens: 200,
      prompt: "A person",
      schema: jsonSchema({
        type: "object",
        properties: { name: { type: "string", maxLength: 10 }, good: { type: "boolean" } },
        required: ["name", "good"],
        additionalProperties: false,
      }),
    });
    expect(typeof object.good === "boolean", object);
  });
  await check("ai: tools", async () => {
    const result = await generateText({
      ...common,
      maxOutputTokens: 200,
      prompt: "Weather?",
      toolChoice: "required",
      tools: {
        weather: tool({
          description: "Weather of a town",
          inputSchema: jsonSchema({
            type: "object",
            properties: { town: { type: "string", maxLength: 10 } },
            required: ["town"],
            additionalProperties: false,
          }),
          execute: async () => "sunny",
        }),
      },
    });
    expect(result.toolCalls[0]?.toolName === "weather", result.toolCalls);
  });
  await check("ai: streamed object", async () => {
    const { partialObjectStream, object } = streamObject({
      ...common,
      maxOutputTokens: 200,
      prompt: "A person",
      schema: jsonSchema({
        type: "object",
        properties: { name: { type: "string", maxLength: 10 } },
        required: ["name"],
        additionalProperties: false,
      }),
    });
    let parts = 0;
    for await (const _ of partialObjectStream) parts++;
    expect(parts > 0 && typeof (await object).name === "string", await object);
  });
  await check("ai: embedMany", async () => {
    const { embeddings } = await embedMany({ model: provider.embeddingModel(name), values: ["A dog", "A cat"] });
    expect(embeddings.length === 2 && embeddings[0].length > 8, embeddings.length);
  });
  await check("ai: errors are those of the package", async () => {
    const error = await generateText({ ...common, model: provider("none"), prompt: "Hi" }).catch((reason) => reason);
    expect(APICallError.isInstance(error) && error.statusCode === 404, error);
  });
  await check("ai: abort", async () => {
    const { textStream } = streamText({
      ...common,
      maxOutputTokens: 500,
      prompt: "Tell me a story.",
      abortSignal: AbortSignal.timeout(300),
      onError() {},
    });
    let parts = 0;
    for await (const _ of textStream) parts++;
    expect(parts < 500, parts);
  });
}
