import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compileConstraint } from "#src/constraints/compile.js";
import { OptionError } from "#src/errors.js";
import { accepts, byteVocabulary, randomNumbers, randomText, storyVocabulary } from "../helpers/constraints.js";
import { atRoot } from "../helpers/fixtures.js";

const bytes = byteVocabulary(["ab", "true", '":'], ["<think>"]);
const grammar = (source: string) => compileConstraint(bytes, { grammar: source });

const json = readFileSync(atRoot("test", "fixtures", "json.gbnf"), "utf8");

test("a grammar of JSON allows JSON", () => {
  const constraint = grammar(json);
  for (const text of ["{}", '{"a":1}', '{"a": [1, 2.5e3, null], "b\\u00e9": {"c": "日本 😀"}}', '{\n  "x": true}'])
    assert.ok(accepts(constraint, text), text);
  for (const text of ["", "[]", '{"a"}', '{"a":01}', '{"a":"\n"}', '{"a":1,}'])
    assert.not(accepts(constraint, text), text);
});

test("what is written by a grammar of JSON parses", () => {
  const vocabulary = storyVocabulary();
  const constraint = compileConstraint(vocabulary, { grammar: json });
  let ended = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const text = randomText(constraint, vocabulary, randomNumbers(seed), 300);
    if (text === undefined) continue;
    JSON.parse(text);
    ended++;
  }
  assert.ok(ended > 0);
});

test("repetitions, groups, classes and escapes", () => {
  const cases: [source: string, good: string[], bad: string[]][] = [
    ['root ::= "a"{2} "b"{1,} "c"{,2} "d"{0,1}', ["aab", "aabbccd"], ["ab", "aa", "aabccc"]],
    ['root ::= ("x" | "y")+ [^xy]? .', ["xy1", "yx😀!", "x\n"], ["x", "1"]],
    [
      'root ::= "\\x41\\u00e9\\U0001F600\\n\\t\\r\\\\\\"" [\\]\\-^a-c]',
      ['Aé😀\n\t\r\\"]', 'Aé😀\n\t\r\\"-', 'Aé😀\n\t\r\\"b'],
      ['Aé😀\n\t\r\\"d'],
    ],
    ["root ::= [日本-]{2}", ["日本", "--"], ["日", "日x"]],
    ['root ::= a b | # first\n  "z"\na ::= "1" | ""\nb ::= "2"', ["12", "2", "z"], ["1", ""]],
    ['root ::= "(" root ")" | ""', ["", "()", "((()))"], ["(()", ")("]],
    ['root::="a"*"b"', ["b", "aab"], ["a"]],
    ['root ::= (a? a?)* "b"\na ::= "a"', ["b", "aaab"], ["a"]],
  ];
  for (const [source, good, bad] of cases) {
    const constraint = grammar(source);
    for (const text of good) assert.ok(accepts(constraint, text), `${source} allows ${JSON.stringify(text)}`);
    for (const text of bad) assert.not(accepts(constraint, text), `${source} forbids ${JSON.stringify(text)}`);
  }
});

test("special tokens are written by name or number, and never by their characters", () => {
  const id = bytes.specialId("<think>")!;
  for (const source of ['root ::= <think> "a"', `root ::= <[${id}]> "a"`]) {
    const state = grammar(source).start();
    assert.not(state.allows(0x3c));
    assert.ok(state.allows(id));
    state.advance(id);
    assert.ok(state.allows(0x61));
  }
  assert.throws(() => grammar("root ::= <nothing>"), /no special token <nothing>/);
});

test("branches without an end are never entered", () => {
  const constraint = grammar('root ::= "a" endless | "b"\nendless ::= "x" endless');
  assert.not(accepts(constraint, "ax"));
  assert.not(constraint.start().allows(0x61));
  assert.ok(accepts(constraint, "b"));
});

for (const [source, said] of [
  ["", 'no rule "root"'],
  ['start ::= "a"', 'no rule "root"'],
  ["root ::= other", 'no rule "other"'],
  ['root ::= "a', "no closing quote"],
  ["root ::= [a", 'no "\\]"'],
  ['root ::= ("a"', 'no "\\)"'],
  ['root ::= "a" )', "not expected"],
  ['root "a"', '"::=" is missing'],
  ['root ::= "\\q"', "not known"],
  ['root ::= "\\ud800"', "no character"],
  ['root ::= "a"{3,1}', "ends before it begins"],
  ['root ::= "a"{x}', "repetition is"],
  ['root ::= root "a" | "b"', "left recursion"],
  ['root ::= a\na ::= "x"? b\nb ::= a "y" | "z"', "left recursion"],
  ['root ::= "a" root', "never comes to an end"],
  ['root ::= "a"\nroot ::= "b"', "written twice"],
  ["root ::= [b-a]", "ends before it begins"],
  ["root ::= !<think>", "not supported"],
] as const)
  test(`refused by name, with its line: ${JSON.stringify(source)}`, () => {
    try {
      grammar(source);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, OptionError, String(error));
      assert.match((error as Error).message, new RegExp(said));
    }
  });

test.run();
