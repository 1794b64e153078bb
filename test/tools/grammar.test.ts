import { test } from "uvu";
import * as assert from "uvu/assert";
import { OptionError } from "#src/errors.js";
import { collectCall } from "#src/generate/tool-calls.js";
import { fenced, granite, hermes, lfm2, llama3, mistral, type ToolFormat, toolFormatOf } from "#src/tools/formats.js";
import { compileTools } from "#src/tools/grammar.js";
import { ToolParser } from "#src/tools/parser.js";
import type { ToolCall, ToolDefinition } from "#src/types/tools.js";
import { accepts, byteVocabulary, randomNumbers, tokensOf } from "../helpers/constraints.js";
import { transcripts } from "./transcripts.js";

const tools: ToolDefinition[] = [
  {
    name: "get_weather",
    parameters: {
      type: "object",
      properties: { city: { type: "string", maxLength: 12 }, days: { type: "integer", minimum: 1, maximum: 9 } },
      required: ["city"],
    },
  },
  {
    name: "get_time",
    parameters: {
      type: "object",
      properties: { zone: { enum: ["Europe/Paris", "it's", null, true] } },
      required: ["zone"],
    },
  },
  { name: "stop" },
];
const plain = byteVocabulary(['"name": ', "<tool", "```tool_call", '"arguments"']);
const formats = [hermes, llama3, granite, mistral, lfm2, fenced];

for (const format of formats) {
  test(`${format.name}: what is forced is read back as calls that fit`, () => {
    const vocabulary = byteVocabulary(
      ['"name": ', "get_"],
      [format.open, format.close].filter((text) => /^<\||^\[TOOL/.test(text)),
    );
    const constraint = compileTools(vocabulary, format, tools, "some", undefined);
    for (let seed = 1; seed <= 40; seed++) {
      const random = randomNumbers(seed);
      const state = constraint.start();
      const parser = new ToolParser(format, String);
      const calls: ToolCall[] = [];
      const decoder = new TextDecoder();
      let text = "";
      for (let i = 0; i < 3000 && !state.ended; i++) {
        const allowed = tokensOf(state.mask());
        const stop = allowed.find((id) => vocabulary.stopIds.includes(id));
        const id = stop !== undefined && random() < 0.5 ? stop : allowed[Math.floor(random() * allowed.length)]!;
        state.advance(id);
        if (id === vocabulary.stopIds[0]) break;
        const bytes = vocabulary.bytes(id);
        const special = [format.open, format.close].find((each) => vocabulary.specialId(each) === id) ?? "";
        const parsed = parser.push(bytes ? decoder.decode(bytes, { stream: true }) : special);
        text += parsed.text;
        for (const delta of parsed.deltas) collectCall(calls, delta);
      }
      assert.is(text + parser.flush().text, "");
      assert.ok(calls.length > 0 && calls.length <= 16);
      for (const { name, arguments: json } of calls) {
        const values = JSON.parse(json);
        if (name === "get_weather") {
          assert.type(values.city, "string");
          assert.ok(values.days === undefined || (values.days >= 1 && values.days <= 9));
        } else if (name === "get_time") assert.ok(["Europe/Paris", "it's", null, true].includes(values.zone));
        else assert.equal([name, values], ["stop", {}]);
      }
    }
  });

  test(`${format.name}: with a free choice, the transcripts are allowed, and calls of other tools are not`, () => {
    const constraint = compileTools(
      plain,
      format,
      [...tools, { name: "find", parameters: {} }, { name: "f", parameters: {} }, { name: "g" }],
      "any",
      undefined,
    );
    for (const { title, written, calls } of transcripts.filter((each) => each.format === format)) {
      // Forms that only the reader knows.
      if (/before the name|as a text|mark of Python|and text$|literals of/.test(title)) continue;
      assert.ok(accepts(constraint, written), title);
      if (calls.length) assert.not(accepts(constraint, written.replaceAll(calls[0]!.name, "other")), title);
    }
  });
}

test("one named tool is called once, and then nothing follows", () => {
  const state = compileTools(plain, hermes, [tools[2]!], "one", undefined).start();
  for (const byte of new TextEncoder().encode('<tool_call>\n{"name": "stop", "arguments": {}}\n</tool_call>'))
    state.advance(byte);
  assert.ok(state.ended);
});

test("with a schema beside tools, an answer fits the schema or calls a tool", () => {
  const constraint = compileTools(plain, hermes, tools, "any", { schema: { const: 5 } });
  assert.ok(accepts(constraint, "5"));
  assert.ok(accepts(constraint, '<tool_call>{"name":"stop","arguments":{}}</tool_call>'));
  assert.not(accepts(constraint, "six"));
});

test("arguments that cannot be described: any object with a free choice, otherwise refused", () => {
  const odd: ToolDefinition[] = [{ name: "odd", parameters: { type: "object", contains: {} } }];
  assert.ok(
    accepts(
      compileTools(plain, hermes, odd, "any", undefined),
      '<tool_call>{"name":"odd","arguments":{"x":1}}</tool_call>',
    ),
  );
  assert.throws(
    () => compileTools(plain, hermes, odd, "some", undefined),
    (error: Error) => error instanceof OptionError && /tool "odd".*contains/.test(error.message),
  );
});

test("the format is that of the template's family", () => {
  const cases: [string | undefined, ToolFormat][] = [
    [undefined, fenced],
    ["{% for m in messages %}{{ m.content }}{% endfor %}", fenced],
    ["{% if tools %}<tool_call>{% endif %}", hermes],
    ["{% if tools %}<|start_of_role|>available_tools <|tool_call|>{% endif %}", granite],
    ["{% if tools %}[AVAILABLE_TOOLS]{% endif %}[TOOL_CALLS][", mistral],
    ["{% if tools %}[AVAILABLE_TOOLS]{% endif %}[TOOL_CALLS]f[ARGS]", fenced],
    ["{% if tools %}<|start_of_role|> <tool_call>{% endif %}", hermes],
    ['{% if tools is not none %}{"name": function name, "parameters": dict}{% endif %}', llama3],
    ["{% if tools %}List of tools: <|tool_list_start|>[{% endif %}", lfm2],
  ];
  for (const [template, format] of cases) assert.is(toolFormatOf(template), format, template);
});

test.run();
