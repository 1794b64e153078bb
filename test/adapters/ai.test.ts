import type { LanguageModelV3 } from "@ai-sdk/provider";
import { generateText, jsonSchema, Output, streamText, tool } from "ai";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { deltallm } from "#src/adapters/ai.js";
import { testModel } from "#src/adapters/testing.js";

const loaded = await testModel();
test.after(() => loaded.dispose());
const model: LanguageModelV3 = deltallm(loaded) as LanguageModelV3;

test("generateText is the model's answer to the messages, with usage and reason", async () => {
  const answer = await generateText({
    model,
    system: "Tell.",
    prompt: "Once upon a time",
    seed: 3,
    maxOutputTokens: 12,
  });
  const messages = [
    { role: "system", content: "Tell." },
    { role: "user", content: "Once upon a time" },
  ];
  const expected = await loaded.complete(messages, { seed: 3, maxTokens: 12 });
  assert.is(answer.text, expected.text);
  assert.is(answer.finishReason, "length");
  assert.is(answer.usage.inputTokens, expected.usage.promptTokens);
  assert.is(answer.usage.outputTokens, 12);
});

test("streamText streams the same text, and can be broken off", async () => {
  const settings = { model, prompt: "Once upon a time", seed: 3, maxOutputTokens: 12 };
  const { textStream } = streamText(settings);
  let text = "";
  for await (const part of textStream) text += part;
  assert.is(text, (await generateText(settings)).text);
  const controller = new AbortController();
  let parts = 0;
  const long = streamText({ ...settings, maxOutputTokens: 500, abortSignal: controller.signal });
  for await (const _ of long.textStream) if (++parts === 3) controller.abort();
  assert.ok(parts < 10, `${parts} parts`);
});

test("structured output is what the schema says", async () => {
  const schema = jsonSchema<{ pet: string }>({
    type: "object",
    properties: { pet: { enum: ["dog", "cat"] } },
    required: ["pet"],
    additionalProperties: false,
  });
  const { output } = await generateText({
    model,
    prompt: "A pet",
    output: Output.object({ schema }),
    maxOutputTokens: 60,
  });
  assert.ok(["dog", "cat"].includes(output.pet), JSON.stringify(output));
});

test("messages of tools reach the template, and files are refused by name", async () => {
  const tools = { look: tool({ inputSchema: jsonSchema({ type: "object", properties: {} }) }) };
  const answer = await generateText({
    model,
    tools,
    toolChoice: "none",
    maxOutputTokens: 4,
    messages: [
      { role: "user", content: "Look" },
      { role: "assistant", content: [{ type: "tool-call", toolCallId: "1", toolName: "look", input: {} }] },
      {
        role: "tool",
        content: [{ type: "tool-result", toolCallId: "1", toolName: "look", output: { type: "json", value: [1] } }],
      },
    ],
  });
  assert.is(answer.finishReason, "length");
  const file = { type: "file" as const, data: new Uint8Array(4), mediaType: "image/png" };
  const error = await generateText({ model, messages: [{ role: "user", content: [file] }], maxRetries: 0 }).catch(
    (error) => error,
  );
  assert.match(String(error), /Files \(image\/png\) cannot be given/);
});

test.run();
