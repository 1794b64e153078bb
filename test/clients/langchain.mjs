import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";

export async function run({ baseURL, apiKey, model, check, expect }) {
  const common = { model, apiKey, maxRetries: 0, modelKwargs: { seed: 4 }, configuration: { baseURL } };
  const chat = new ChatOpenAI({ ...common, maxTokens: 24 });
  const longer = new ChatOpenAI({ ...common, maxTokens: 200 });
  let text = "";
  await check("langchain: invoke", async () => {
    const answer = await chat.invoke("Tell me a story.");
    text = answer.content;
    expect(text.length > 10 && answer.usage_metadata.output_tokens === 24, answer.usage_metadata);
  });
  await check("langchain: stream", async () => {
    let streamed = "";
    for await (const chunk of await chat.stream("Tell me a story.")) streamed += chunk.content;
    expect(streamed === text, { streamed, text });
  });
  await check("langchain: structured output", async () => {
    const person = longer.withStructuredOutput(
      {
        title: "person",
        type: "object",
        properties: { name: { type: "string", maxLength: 10 } },
        required: ["name"],
        additionalProperties: false,
      },
      { method: "jsonSchema" },
    );
    const value = await person.invoke("A person");
    expect(typeof value.name === "string", value);
  });
  await check("langchain: tools", async () => {
    const bound = longer.bindTools(
      [
        {
          type: "function",
          function: {
            name: "weather",
            description: "Weather of a town",
            parameters: {
              type: "object",
              properties: { town: { type: "string", maxLength: 10 } },
              required: ["town"],
              additionalProperties: false,
            },
          },
        },
      ],
      { tool_choice: "required" },
    );
    const answer = await bound.invoke("Weather?");
    expect(answer.tool_calls[0]?.name === "weather", answer);
  });
  await check("langchain: embeddings", async () => {
    const embeddings = new OpenAIEmbeddings({ model, apiKey, maxRetries: 0, configuration: { baseURL } });
    const vectors = await embeddings.embedDocuments(["A dog", "A cat"]);
    expect(vectors.length === 2 && Math.abs(Math.hypot(...vectors[0]) - 1) < 1e-4, vectors.length);
  });
  await check("langchain: abort and errors", async () => {
    const cut = await longer.invoke("Tell me a story.", { signal: AbortSignal.timeout(5) }).catch((reason) => reason);
    expect(cut instanceof Error, cut);
    const unknown = new ChatOpenAI({ ...common, model: "none" });
    const error = await unknown.invoke("Hi").catch((reason) => reason);
    expect(error.status === 404, error);
  });
}
