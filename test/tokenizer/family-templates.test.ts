import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TokenizerError } from "#src/errors.js";
import { TokenType } from "#src/formats/model-file.js";
import { withTemplate } from "#src/generate/template.js";
import { collectCall } from "#src/generate/tool-calls.js";
import type { ModelTokenizer } from "#src/tokenizer/tokenizer.js";
import { ToolParser } from "#src/tools/parser.js";
import type { ToolCall, ToolDefinition } from "#src/types/tools.js";
import { fixture } from "../helpers/fixtures.js";
import { storyData } from "../helpers/tokenizers.js";

// The templates of the families that run here, and what Python's Jinja makes of them: see fixtures/templates/README.md.

interface Message {
  role: string;
  content: string;
  tool_calls?: { id: string; function: { name: string; arguments: object } }[];
  tool_call_id?: string;
}
interface Golden {
  now: string;
  tools: { function: ToolDefinition }[];
  formats: Record<string, string>;
  cases: { title: string; messages: Message[]; tools: boolean; prompt: boolean }[];
  /** By template and case. */
  rendered: Record<string, { text?: string; error?: string }[]>;
  /** Templates of one line with the same variables, and their texts. */
  lines: [template: string, text: string][];
}
const read = (name: string) => readFileSync(fixture("templates", name), "utf8");
const golden = JSON.parse(read("golden.json")) as Golden;

function tokenizerOf(chatTemplate: string) {
  const data = {
    ...storyData(),
    tokens: ["<bos>", "<eos>"],
    types: [TokenType.control, TokenType.control],
    merges: [],
  };
  return withTemplate({ addBos: false } as ModelTokenizer, { ...data, bosId: 0, eosIds: [1], chatTemplate });
}

function messageOf({ role, content, tool_calls: calls, tool_call_id: toolCallId }: Message) {
  const toolCalls = calls?.map(({ id, function: { name, arguments: values } }) => ({
    id,
    name,
    arguments: JSON.stringify(values),
  }));
  return { role, content, ...(toolCalls && { toolCalls }), ...(toolCallId && { toolCallId }) };
}

const RealDate = Date;
test.before(() => {
  globalThis.Date = class extends RealDate {
    constructor() {
      super(golden.now);
    }
  } as DateConstructor;
});
test.after(() => {
  globalThis.Date = RealDate;
});

for (const [name, rendered] of Object.entries(golden.rendered)) {
  test(`${name}: every conversation byte for byte as Python writes it`, async () => {
    const tokenizer = tokenizerOf(read(`${name}.jinja`));
    assert.is(tokenizer.toolFormat.name, golden.formats[name]);
    for (const [index, { title, messages, tools, prompt }] of golden.cases.entries()) {
      const options = {
        addGenerationPrompt: prompt,
        ...(tools && { tools: golden.tools.map(({ function: tool }) => tool) }),
      };
      const { text, error } = rendered[index]!;
      const got = await tokenizer.applyTemplate(messages.map(messageOf), options).catch((refused: unknown) => {
        assert.instance(refused, TokenizerError);
        return refused as TokenizerError;
      });
      if (text !== undefined) assert.is(got, text, title);
      else if (error !== undefined) assert.ok(got instanceof Error && got.message.includes(error), title);
    }
  });

  test(`${name}: calls its template writes are read as those calls, wherever the text is cut`, () => {
    const { toolFormat } = tokenizerOf(read(`${name}.jinja`));
    const textOf = (title: string) => rendered[golden.cases.findIndex((each) => each.title === title)]?.text ?? "";
    const added = textOf("a call");
    if (name === "lfm2") return; // It leaves writing calls to the caller.
    const written = added.slice(added.lastIndexOf(toolFormat.open || '{"name"'));
    const [call] = golden.cases.find(({ title }) => title === "a call")!.messages.at(-1)!.tool_calls!;
    const bytes = new TextEncoder().encode(written);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const parser = new ToolParser(toolFormat, String);
      const decoder = new TextDecoder();
      const calls: ToolCall[] = [];
      for (const part of [bytes.subarray(0, cut), bytes.subarray(cut)])
        for (const delta of parser.push(decoder.decode(part, { stream: true })).deltas) collectCall(calls, delta);
      assert.is(calls.length, 1, written);
      assert.is(calls[0]!.name, call!.function.name);
      assert.equal(JSON.parse(calls[0]!.arguments), call!.function.arguments);
    }
  });
}

for (const [template, text] of golden.lines)
  test(`as in Python: ${template}`, async () => {
    assert.is(await tokenizerOf(template).applyTemplate([{ role: "user", content: " A\u00a0b\u0085" }]), text);
  });

test("Mistral: ids of calls become nine letters and digits, the same for a call and its result", async () => {
  const tokenizer = tokenizerOf(read("mistral-nemo.jinja"));
  const toolCalls = ["call_0123abcd0", "call_0123abcd1", "x"].map((id) => ({ id, name: "f", arguments: "{}" }));
  const text = await tokenizer.applyTemplate([
    { role: "user", content: "Hi" },
    { role: "assistant", content: null, toolCalls },
    ...toolCalls.map(({ id }) => ({ role: "tool", content: "1", toolCallId: id })),
  ]);
  assert.equal(
    [...text.matchAll(/"(id|call_id)": "(\w+)"/g)].map(([, key, id]) => [key, id]),
    ["id", "call_id"].flatMap((key) => ["0123abcd0", "0123abcd1", "00000000x"].map((id) => [key, id])),
  );
});

test("SmolLM3's name for tools is known, and an assistant's calls keep the marks that are special tokens", async () => {
  const template = "{% for tool in xml_tools[:] %}<tool_call>{{ tool | string }}{% endfor %}";
  const tokenizer = tokenizerOf(template);
  assert.is(tokenizer.toolFormat.name, "hermes");
  assert.is(
    await tokenizer.applyTemplate([], { tools: [{ name: "f" }] }),
    "<tool_call>{'type': 'function', 'function': {'name': 'f', 'description': '', 'parameters': {'type': 'object', 'properties': {}}}}",
  );
  const granite =
    "{% if tools %}{% endif %}{% for m in messages %}{{ m.role ~ ': ' ~ m.content }}<|start_of_role|>{% endfor %}";
  const data = {
    ...storyData(),
    tokens: ["<|tool_call|>", "<|end|>"],
    types: [TokenType.control, TokenType.control],
    merges: [],
  };
  const content = "<|tool_call|><|end|>";
  const text = await withTemplate({ addBos: false } as ModelTokenizer, {
    ...data,
    chatTemplate: granite,
  }).applyTemplate([
    { role: "user", content },
    { role: "assistant", content, toolCalls: [{ id: "", name: "f", arguments: "{}" }] },
  ]);
  assert.is(text.split("<|tool_call|>").length, 3, "twice in the assistant's message, not in the user's");
  assert.not(text.includes("<|end|>"));
});

test.run();
