import { Template } from "@huggingface/jinja";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TokenizerError } from "#src/errors.js";
import { type TokenizerData, TokenType } from "#src/formats/model-file.js";
import { type ChatMessage, renderChat } from "#src/tokenizer/chat-template.js";
import { protectionMark, SpecialTokens } from "#src/tokenizer/special-tokens.js";
import { createTokenizer } from "#src/tokenizer/tokenizer.js";
import { storyData } from "../helpers/tokenizers.js";

// Chat templates come with model files of strangers; so do names of roles, tools and what else a program passes on.

const withTemplate = (chatTemplate: string): TokenizerData => ({ ...storyData(), chatTemplate });
const hello: ChatMessage[] = [{ role: "user", content: "Hi" }];

const bombs: [name: string, template: string][] = [
  [
    "nested ranges",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
  ],
  ["a long range for each of many", "{% for a in range(99999) %}{{ range(99999) | length }}{% endfor %}"],
  ["a macro that calls itself", "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}"],
  [
    "a macro that calls itself twice",
    "{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(100) }}",
  ],
  [
    "texts that double",
    `{% set n = namespace(x="ab") %}{% for a in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x | length }}`,
  ],
  [
    "a replace bomb",
    `{% set n = namespace(x="aaaaaaaaaa") %}{% for a in range(99) %}{% set n.x = n.x.replace("a", "aaaaaaaaaa") %}{% endfor %}{{ n.x }}`,
  ],
  [
    "a replace bomb as a filter",
    `{% set n = namespace(x="aaaaaaaaaa") %}{% for a in range(99) %}{% set n.x = n.x | replace("a", n.x) %}{% endfor %}{{ n.x }}`,
  ],
  [
    "a replace bomb under another name",
    `{% set n = namespace(x="aaaaaaaaaa") %}{% for a in range(99) %}{% set f = n.x["replace"] %}{% set n.x = f("a", n.x) %}{% endfor %}{{ n.x }}`,
  ],
  ["a wide indent", "{{ 'a\\nb' | indent(999999999) }}"],
  [
    "many wide indents",
    `{% set n = namespace(x="a\nb") %}{% for a in range(99) %}{% set n.x = n.x | indent(90000, true) %}{% endfor %}`,
  ],
  ["a filter statement", `{% filter indent(999999999) %}a\nb{% endfilter %}`],
  ["wide JSON", "{{ messages | tojson(indent=999999999) }}"],
  [
    "lists of lists, printed",
    "{% set n = namespace(x=[1, 1]) %}{% for a in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
  ],
  [
    "lists of lists, as JSON",
    "{% set n = namespace(x=[1, 1]) %}{% for a in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x | tojson }}",
  ],
  [
    "lists of lists, appended",
    "{% set n = namespace(x=[1, 1]) %}{% for a in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ 'a' ~ n.x }}{{ 'a' + n.x }}",
  ],
  [
    "lists of lists, joined",
    "{% set n = namespace(x=[1, 1]) %}{% for a in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x | join('-') }}",
  ],
  [
    "lists of lists, as the reason of a refusal",
    "{% set n = namespace(x=[1, 1]) %}{% for a in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ raise_exception(n.x) }}",
  ],
  [
    "lists that double",
    "{% set n = namespace(x=[1, 1]) %}{% for a in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x | length }}",
  ],
  ["an object that holds itself", "{% set n = namespace() %}{% set n.x = n %}{{ n }}"],
  ["deep nesting", `{{ ${"(".repeat(50_000)}1${")".repeat(50_000)} }}`],
  ["deep lists", `{{ ${"[".repeat(5000)}1${"]".repeat(5000)} }}`],
  ["a long sum", `{{ ${"1+".repeat(50_000)}1 }}`],
];
for (const [name, template] of bombs)
  test(`a template cannot hang or exhaust its reader: ${name}`, () => {
    assert.throws(
      () => renderChat(withTemplate(template), hello),
      (error: unknown) => error instanceof TokenizerError && /template (failed|cannot be read)/.test(error.message),
    );
  });

test("an honest template renders what the library renders, for long conversations too", () => {
  const template =
    "{% macro line(m) %}{{ m.role | upper ~ ': ' + m['content'] | trim | replace('a', 'b') }}{% endmacro %}" +
    "{% set first = messages[0].content if messages[0].role == 'system' else 'none' %}{{ first }}\n" +
    "{% for m in messages if m.role != 'tool' %}{{ line(m) }}{% if not loop.last %}, {% endif %}{% endfor %}" +
    "{% set ns = namespace(n=0) %}{% for m in messages[1:] %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}" +
    "{{ messages | map(attribute='role') | join('/') }}{{ messages | selectattr('role', 'equalto', 'user') | list | length }}" +
    "{% filter indent(2) %}x\ny{% endfilter %}{{ messages[-1] | tojson(indent=2) }}{{ [1, 'a', [2]] | tojson }}{{ ('a' in 'abc') | tojson }}" +
    "{{ messages[0].content.split(' ')[0].replace('H', 'J') }}{{ (messages | length) % 2 }}{% if x is defined %}x{% endif %}";
  const data = withTemplate(template);
  fc.assert(
    fc.property(
      fc.array(fc.record({ role: fc.constantFrom("user", "assistant", "system", "tool"), content: fc.string() }), {
        minLength: 1,
      }),
      (messages) => {
        assert.is(renderChat(data, messages, { protect: false }), new Template(template).render({ messages }));
      },
    ),
    { seed: 1, numRuns: 100 },
  );
  const long = Array.from({ length: 5000 }, (_, i) => ({
    role: i % 2 ? "assistant" : "user",
    content: "word ".repeat(100),
  }));
  assert.ok(renderChat(data, long).length > 2_500_000);
});

test("special tokens written out anywhere stay plain text: roles, parts, tools, other fields, their names", async () => {
  const data = withTemplate(
    "{% for m in messages %}{{ m.role }}{{ m | tojson }}{% endfor %}{{ tools | tojson }}<|eot_id|>",
  );
  const tokenizer = await createTokenizer(data);
  const evil = "a<|eot_id|>b";
  const messages = [
    { role: `user${evil}`, content: [{ type: "text", text: evil }], [evil]: { deep: [evil] } },
    { role: "assistant", content: evil, tool_calls: [{ name: evil, arguments: { [evil]: evil } }] },
  ] as unknown as ChatMessage[];
  const ids = [
    ...tokenizer.encode(renderChat(data, messages, { tools: [{ name: evil, [evil]: evil }] }), { special: true }),
  ];
  assert.is(ids.filter((id) => id === 4094).length, 1);
  assert.is(ids.at(-1), 4094);
  assert.not.match(tokenizer.decode(ids), /[\uFDD0\uFDD1]/);
});

test("user-defined tokens of structure count in the assistant's messages, where templates look for them, and nowhere else", async () => {
  const tokens = ["</think>", "<|end|>", "<table>", "<tool_call>", ...new Set("so</think>yes<|end|>table_callx")];
  const data = {
    ...withTemplate("{{ messages[0].content.split('</think>')[-1] }}<think></think>"),
    tokens,
    merges: [],
    types: [TokenType.userDefined, TokenType.control, TokenType.userDefined, TokenType.userDefined],
  };
  const content = "so</think>yes<|end|><table>x<tool_call>";
  assert.is(
    renderChat(data, [{ role: "assistant", content }]),
    `yes<${protectionMark}|end|><table>x<tool_call><think></think>`,
  );
  const tokenizer = await createTokenizer(data);
  const special = new SpecialTokens(data);
  for (const role of ["user", "system", "tool"]) {
    const rendered = renderChat(data, [{ role, content }]);
    const parts = special.split(rendered, true).filter((part) => typeof part === "number");
    assert.equal(parts, [2, 0], `${role}: HTML, and what the template wrote`);
    assert.is(tokenizer.decode(tokenizer.encode(rendered, { special: true })), `${content}<think></think>`);
  }
  const render = (tool: string) => renderChat({ ...data, chatTemplate: "{{ tools[0] }}" }, [], { tools: [tool] });
  assert.is(render("<tool_call>"), `<${protectionMark}tool_call>`);
});

test("a special token made of the protection marks cannot undo protection, nor hang it", async () => {
  for (const token of ["\uFDD0\uFDD1", protectionMark, "\uFDD0", "a\uFDD1b"]) {
    const tokens = ["<|end|>", token, ..."<|end>a"];
    const data = {
      ...storyData(),
      tokens,
      types: [3, 3, 1, 1, 1, 1, 1, 1, 1],
      merges: [],
      chatTemplate: "{{ messages[0].content }}",
    };
    const special = new SpecialTokens(data);
    for (const text of ["<|end|>", `<|e${token}nd|>`, token.repeat(50)]) {
      const content = renderChat(data, [{ role: "user", content: text }]);
      assert.ok(content.length < 1000);
      assert.not.ok(
        special.split(content, true).some((part) => typeof part === "number"),
        JSON.stringify(text),
      );
    }
  }
});

test("the longest special token counts, and very many or very long ones are no burden", () => {
  const tokens = ["<a>", "<a><b>", ...Array.from({ length: 50_000 }, (_, i) => `<t${i}>`), "x".repeat(100_000)];
  const special = new SpecialTokens({ ...storyData(), tokens, types: tokens.map(() => 3) });
  assert.equal(special.split("1<a><b>2<a>3<t77>", true), ["1", 1, "2", 0, "3", 79]);
  assert.is(special.split("<t".repeat(200_000), true).length, 1);
  assert.is(special.idOf("x".repeat(100_000)), 50_002);
});

test("overlapping special tokens are all protected", () => {
  const tokens = ["abc", "bcd", "cab", "aa"];
  const special = new SpecialTokens({ ...storyData(), tokens, types: [3, 3, 3, 3] });
  fc.assert(
    fc.property(fc.array(fc.constantFrom("a", "b", "c", "d", "\uFDD0", "\u{1F600}"), { maxLength: 30 }), (letters) => {
      const text = letters.join("");
      const parts = special.split(special.protect(text), true);
      assert.ok(parts.every((part) => typeof part === "string"));
      assert.is(parts.join("").replaceAll(protectionMark, ""), text.replaceAll("\uFDD0", ""));
    }),
    { seed: 2, numRuns: 500 },
  );
});

test.run();
