import { AIMessage, HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ChatDeltaLLM } from "#src/adapters/langchain.js";
import { testModel } from "#src/adapters/testing.js";

const loaded = await testModel();
test.after(() => loaded.dispose());
const chat = new ChatDeltaLLM({ model: loaded, seed: 5, maxTokens: 10 });

test("invoke and stream are the model's answer to the messages", async () => {
  const messages = [new SystemMessage("Tell."), new HumanMessage("Once upon a time")];
  const expected = await loaded.complete(
    [
      { role: "system", content: "Tell." },
      { role: "user", content: "Once upon a time" },
    ],
    { seed: 5, maxTokens: 10 },
  );
  const answer = await chat.invoke(messages);
  assert.is(answer.content, expected.text);
  assert.is(answer.usage_metadata?.output_tokens, 10);
  assert.is(answer.response_metadata.finish_reason, "length");
  let text = "";
  for await (const chunk of await chat.stream(messages)) text += chunk.content;
  assert.is(text, expected.text);
});

test("it is part of a chain; options of a call come first; a signal stops it", async () => {
  const chain = ChatPromptTemplate.fromMessages([["human", "{what}"]])
    .pipe(chat)
    .pipe(new StringOutputParser());
  const text = await chain.invoke({ what: "A dog" });
  assert.is(text, (await loaded.complete([{ role: "user", content: "A dog" }], { seed: 5, maxTokens: 10 })).text);
  assert.is((await chat.invoke("A dog", { maxTokens: 3 })).usage_metadata?.output_tokens, 3);
  assert.is((await chat.invoke("A dog", { regex: "yes|no", maxTokens: 10 })).response_metadata.finish_reason, "schema");
  const error = await chat.invoke("A dog", { signal: AbortSignal.abort() }).catch((error) => error);
  assert.instance(error, Error);
});

test("calls and results of tools are messages", async () => {
  const call = { id: "1", name: "look", args: { at: 1 }, type: "tool_call" as const };
  const messages = [
    new HumanMessage([{ type: "text", text: "Look" }]),
    new AIMessage({ content: "", tool_calls: [call] }),
    new ToolMessage({ content: "a cat", tool_call_id: "1" }),
  ];
  assert.is((await chat.invoke(messages)).usage_metadata?.output_tokens, 10);
});

test.run();
