import type { ToolFormat } from "#src/tools/formats.js";
import { fenced, granite, hermes, lfm2, llama3, mistral } from "#src/tools/formats.js";

/** What a model of a family wrote, and what that means. */
export interface Transcript {
  title: string;
  format: ToolFormat;
  written: string;
  text: string;
  calls: { name: string; arguments: unknown }[];
}

const weather = { name: "get_weather", arguments: { city: "Paris", days: 3 } };
const time = { name: "get_time", arguments: { zone: "Europe/Paris" } };

export const transcripts: Transcript[] = [
  {
    title: "Hermes and Qwen: text, then two calls",
    format: hermes,
    written:
      'I look it up. <3\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}\n</tool_call>\n<tool_call>\n{"name": "get_time", "arguments": {"zone": "Europe/Paris"}}\n</tool_call>',
    text: "I look it up. <3",
    calls: [weather, time],
  },
  {
    title: "Hermes: thinking before, arguments before the name, braces in texts",
    format: hermes,
    written: '<think>\nA {tool}?\n</think>\n\n<tool_call>{"arguments": {"q": "}\\"{"}, "name": "find"}</tool_call>',
    text: "<think>\nA {tool}?\n</think>",
    calls: [{ name: "find", arguments: { q: '}"{' } }],
  },
  {
    title: "Hermes: only text",
    format: hermes,
    written: "1 < 2 and <tool> is no call\n",
    text: "1 < 2 and <tool> is no call\n",
    calls: [],
  },
  {
    title: "Hermes: arguments as a text",
    format: hermes,
    written: '<tool_call>\n{"name": "f", "arguments": "{\\"a\\": 1}"}\n</tool_call>',
    text: "",
    calls: [{ name: "f", arguments: { a: 1 } }],
  },
  {
    title: "Llama 3: one call",
    format: llama3,
    written: '{"name": "get_weather", "parameters": {"city": "Paris", "days": 3}}',
    text: "",
    calls: [weather],
  },
  {
    title: "Llama 3: two calls after the mark of Python",
    format: llama3,
    written:
      '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris", "days": 3}}; {"name": "get_time", "parameters": {"zone": "Europe/Paris"}}',
    text: "",
    calls: [weather, time],
  },
  {
    title: "Llama 3: JSON that is no call, and text",
    format: llama3,
    written: '{"names": ["a"]} {"name": 1}',
    text: '{"names": ["a"]} {"name": 1}',
    calls: [],
  },
  {
    title: "Granite 3: a list",
    format: granite,
    written:
      '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}, {"name": "get_time", "arguments": {"zone": "Europe/Paris"}}]',
    text: "",
    calls: [weather, time],
  },
  { title: "Granite 3: text", format: granite, written: "It is | sunny <|", text: "It is | sunny <|", calls: [] },
  {
    title: "Mistral: a list after a blank, and text before it",
    format: mistral,
    written:
      'I look. [1]\n[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}, {"name": "get_time", "arguments": {"zone": "Europe/Paris"}}]',
    text: "I look. [1]",
    calls: [weather, time],
  },
  {
    title: "Mistral: an id, which is not the caller's, as a text",
    format: mistral,
    written: '[TOOL_CALLS][{"name": "f", "arguments": {"a": [1]}, "id": "VvvODy9mT"}]',
    text: "",
    calls: [{ name: "f", arguments: { a: [1] } }],
  },
  { title: "Mistral: text", format: mistral, written: "[TOOL] calls [", text: "[TOOL] calls [", calls: [] },
  {
    title: "LFM2: two calls of Python, and text",
    format: lfm2,
    written:
      "<|tool_call_start|>[get_weather(city=\"Paris\", days=3), get_time(zone='Europe/Paris')]<|tool_call_end|>Checking both.",
    text: "Checking both.",
    calls: [weather, time],
  },
  {
    title: "LFM2: literals of Python",
    format: lfm2,
    written:
      '<|tool_call_start|>[f(a=True, b=None, c=[1, {"k": False}], d=\'it\\\'s "True"\', e=")"), g()]<|tool_call_end|>',
    text: "",
    calls: [
      { name: "f", arguments: { a: true, b: null, c: [1, { k: false }], d: 'it\'s "True"', e: ")" } },
      { name: "g", arguments: {} },
    ],
  },
  {
    title: "Gemma: a block between fences, after text",
    format: fenced,
    written: 'Let me see.\n```tool_call\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}\n```',
    text: "Let me see.",
    calls: [weather],
  },
  {
    title: "Gemma: other fences are text",
    format: fenced,
    written: "```js\nf()\n```\n",
    text: "```js\nf()\n```\n",
    calls: [],
  },
];
