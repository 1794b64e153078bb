import { test } from "uvu";
import * as assert from "uvu/assert";
import { OptionError } from "#src/errors.js";
import { loadModel } from "#src/index.js";
import type { Piece } from "#src/types.js";

const model = await loadModel("embedded", { threads: 1 });
test.after(() => model.dispose());

const tools = [
  {
    name: "light",
    description: "Switches the light",
    parameters: {
      type: "object",
      properties: { on: { type: "boolean" }, room: { enum: ["hall", "bath"] } },
      required: ["on", "room"],
    },
  },
  {
    name: "wait",
    parameters: {
      type: "object",
      properties: { minutes: { type: "integer", minimum: 1, maximum: 5 } },
      required: ["minutes"],
    },
  },
];
const messages = [{ role: "user", content: "Switch on the light." }];

test("a tool that has to be called is called, with arguments that fit", async () => {
  const answer = await model.complete(messages, { tools, toolChoice: { name: "light" }, seed: 1, temperature: 1 });
  assert.is(answer.finishReason, "tool");
  assert.is(answer.text, "");
  assert.is(answer.toolCalls?.length, 1);
  const [call] = answer.toolCalls!;
  assert.is(call!.name, "light");
  assert.match(call!.id, /^call_/);
  const { on, room } = JSON.parse(call!.arguments);
  assert.type(on, "boolean");
  assert.ok(["hall", "bath"].includes(room));
  const again = await model.complete(messages, { tools, toolChoice: { name: "light" }, seed: 1, temperature: 1 });
  assert.equal(again.toolCalls, answer.toolCalls);
});

test("calls stream as deltas, and a chat goes on after their results", async () => {
  const chat = model.createChat();
  const pieces: Piece[] = [];
  for await (const piece of chat.send("Wait.", { tools, toolChoice: { name: "wait" }, seed: 2 })) pieces.push(piece);
  assert.ok(pieces.filter(({ toolCallDelta }) => toolCallDelta?.arguments).length > 1);
  const message = chat.messages.at(-1)!;
  assert.is(message.finishReason, "tool");
  assert.is(message.content, null);
  assert.is(message.toolCalls?.[0]?.name, "wait");
  let text = "";
  const result = { role: "tool", content: "done", toolCallId: message.toolCalls![0]!.id };
  for await (const piece of chat.send(result, { tools, maxTokens: 5, seed: 1 })) text += piece.text;
  assert.ok(text.length > 0);
  await chat.dispose();
});

test("with a free choice text stays text", async () => {
  const answer = await model.complete(messages, { tools, maxTokens: 8, seed: 4 });
  assert.is(answer.finishReason, "length");
  assert.is(answer.toolCalls, undefined);
  const none = await model.complete(messages, { tools, toolChoice: "none", maxTokens: 4, seed: 4 });
  assert.is(none.toolCalls, undefined);
});

test("a prompt for a template without tools describes them", async () => {
  const text = await model.tokenizer.applyTemplate(
    [
      ...messages,
      { role: "assistant", content: null, toolCalls: [{ id: "1", name: "wait", arguments: '{"minutes":1}' }] },
      { role: "tool", content: "ok", toolCallId: "1" },
    ],
    { tools },
  );
  for (const part of ['"name":"light"', "```tool_call", '"arguments": {"minutes":1}', "```tool_output\nok\n```"])
    assert.ok(text.includes(part), part);
});

test("choices that cannot be made are refused", async () => {
  for (const [options, said] of [
    [{ toolChoice: "required" }, /there are none/],
    [{ tools, toolChoice: { name: "fly" } }, /no tool "fly"/],
    [{ tools: [...tools, tools[0]!] }, /Two tools/],
    [{ tools, toolChoice: "always" as "auto" }, /unknown/],
    [{ tools, toolChoice: "required", stop: "x" }, /stop/],
  ] as const) {
    try {
      await model.complete(messages, { ...options, maxTokens: 3 } as object);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, OptionError);
      assert.match((error as Error).message, said);
    }
  }
});

test.run();
