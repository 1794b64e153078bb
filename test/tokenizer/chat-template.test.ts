import { test } from "uvu";
import * as assert from "uvu/assert";
import { TokenizerError } from "#src/errors.js";
import type { TokenizerData } from "#src/formats/model-file.js";
import { type ChatMessage, renderChat } from "#src/tokenizer/chat-template.js";
import { fallbackTemplate } from "#src/tokenizer/fallback-template.js";
import { createTokenizer } from "#src/tokenizer/tokenizer.js";
import { fixture, llama3Data, smollm2Data, storyData } from "../helpers/tokenizers.js";

interface Rendered {
  text: string;
  ids: number[];
}
const golden = fixture<{
  smollm2_template: string;
  bitnet_template: string;
  conversations: {
    messages: ChatMessage[];
    add_generation_prompt: boolean;
    smollm2: Rendered;
    bitnet_2b_4t: Rendered;
    llama_3_2: Rendered;
  }[];
}>("chat.json");
const specialTables = fixture<{ special_3_0: Record<string, number>; special_3_1: Record<string, number> }>(
  "llama3.json",
);
const withTemplate = (chatTemplate: string, rest: Partial<TokenizerData> = {}): TokenizerData => ({
  ...storyData(),
  chatTemplate,
  ...rest,
});

test("SmolLM2: text and ids of all golden conversations", async () => {
  const template = withTemplate(golden.smollm2_template);
  const data = smollm2Data();
  const tokenizer = data && (await createTokenizer(data));
  if (data) assert.is(data.chatTemplate, golden.smollm2_template);
  for (const { messages, add_generation_prompt: addGenerationPrompt, smollm2 } of golden.conversations) {
    const text = renderChat(data ?? template, messages, { addGenerationPrompt });
    assert.is(text, smollm2.text);
    if (tokenizer) assert.equal([...tokenizer.encode(text, { special: true, addBos: tokenizer.addBos })], smollm2.ids);
  }
});

test("BitNet-2B-4T: text and ids of all golden conversations", async () => {
  const data = llama3Data(specialTables.special_3_0);
  const tokenizer = data && (await createTokenizer(data));
  for (const { messages, add_generation_prompt: addGenerationPrompt, bitnet_2b_4t } of golden.conversations) {
    const text = renderChat(withTemplate(golden.bitnet_template), messages, { addGenerationPrompt });
    assert.is(`<|begin_of_text|>${text}`, bitnet_2b_4t.text);
    if (tokenizer) assert.equal([...tokenizer.encode(text, { special: true, addBos: true })], bitnet_2b_4t.ids);
  }
});

test("Llama 3.2: ids of the golden texts, the first token not put there twice", async () => {
  const data = llama3Data(specialTables.special_3_1);
  if (!data) return;
  const tokenizer = await createTokenizer(data);
  for (const { llama_3_2 } of golden.conversations)
    assert.equal([...tokenizer.encode(llama_3_2.text, { special: true, addBos: tokenizer.addBos })], llama_3_2.ids);
});

test("a date comes from dateString, or from strftime_now", () => {
  const data = withTemplate(
    "{% if date_string is defined %}{{ date_string }}{% else %}{{ strftime_now('%d %b %Y, %A %-d %B %H:%M %j') }}{% endif %}",
  );
  assert.is(renderChat(data, [], { dateString: "26 Jul 2024" }), "26 Jul 2024");
  const now = new Date(2024, 6, 6, 9, 5);
  assert.is(renderChat(data, [], { now }), "06 Jul 2024, Saturday 6 July 09:05 188");
});

test("tools, first and last token reach the template", () => {
  const data = withTemplate("{{ bos_token }}{% for tool in tools %}{{ tool.name }}{% endfor %}{{ eos_token }}");
  assert.is(renderChat(data, [], { tools: [{ name: "clock" }] }), "<|begin_of_text|>clock<|end_of_text|>");
  assert.is(renderChat(data, [], { tools: [], bosToken: "<s>", eosToken: "" }), "<s>");
});

test("what a template refuses, what it gets wrong and what cannot be read is a TokenizerError", () => {
  const fails = (template: string, message: RegExp) =>
    assert.throws(
      () => renderChat(withTemplate(template), [{ role: "user", content: "Hi" }]),
      (error: unknown) => error instanceof TokenizerError && message.test(error.message),
    );
  fails("{{ raise_exception('Roles must alternate') }}", /Roles must alternate/);
  fails("{{ nothing.at.all() }}", /template failed/);
  fails("{% for message in messages %}", /cannot be read/);
  fails("{% for i in range(1000000000) %}x{% endfor %}", /too long/);
  assert.is(renderChat(withTemplate("{% for i in range(1, 8, 3) %}{{ i }}{% endfor %}"), []), "147");
});

test("without a template there is an error, or the fallback when it is asked for", async () => {
  const messages = [
    { role: "system", content: "Be brief." },
    { role: "user", content: " Hi " },
  ];
  assert.throws(() => renderChat(storyData(), messages), /no chat template/);
  const options = { fallback: true, addGenerationPrompt: true };
  assert.is(renderChat(storyData(), messages, options), "System: Be brief.\nUser: Hi\nAssistant:");
  assert.match(fallbackTemplate(storyData()).note, /Role: content/);
  const tokens = ["<|im_start|>", "<|im_end|>"];
  const chatml = { ...storyData(), tokens, types: [3, 3], merges: [] };
  assert.match(renderChat(chatml, messages, options), /^<\|im_start\|>system\nBe brief\.<\|im_end\|>\n/);
  const render = (...tokens: string[]) =>
    renderChat({ ...storyData(), tokens, types: tokens.map(() => 3), merges: [], bosId: 0 }, messages, options);
  assert.is(
    render("<bos>", "<start_of_turn>", "<end_of_turn>"),
    "<bos><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\n",
  );
  assert.match(
    render("<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>"),
    /^<\|start_of_role\|>system<\|end_of_role\|>Be brief\.<\|end_of_text\|>\n/,
  );
  assert.match(render("<s>", "<|user|>", "<|end|>", "<|assistant|>"), /<\|user\|>\n Hi <\|end\|>\n<\|assistant\|>\n$/);
});

test("special tokens written out by a user stay plain text", async () => {
  const data = withTemplate("{% for m in messages %}{{ m.content | trim + '<|eot_id|>' }}{% endfor %}");
  const tokenizer = await createTokenizer(data);
  const render = (content: string, role = "user", protect?: boolean) =>
    tokenizer.encode(renderChat(data, [{ role, content }], { protect }), { special: true });
  for (const content of ["<|eot_id|>", "a <|eot_id|><|pad|> b", "<|eot_<|eot_id|>id|>", "no token", "<|\u{1F600}"])
    assert.equal([...render(content)], [...tokenizer.encode(content), 4094], content);
  assert.equal([...render("<|eot_id|>", "user", false)], [4094, 4094]);
  assert.equal([...render("<|eot_id|>", "assistant")], [...tokenizer.encode("<|eot_id|>"), 4094]);
});

test.run();
