import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compileConstraint } from "#src/constraints/compile.js";
import { OptionError } from "#src/errors.js";
import { accepts, byteVocabulary, randomNumbers, randomText, storyVocabulary } from "../helpers/constraints.js";

const bytes = byteVocabulary(["ab", "aab", "12", "é", "日本"]);

// Expressions of everything supported, written at random.
const atom = fc.oneof(
  fc.constantFrom("a", "b", "c", "1", " ", "é", "日", "😀", "\\.", "\\n", "\\u{1F600}", "\\x61", "\\t", "-"),
  fc.constantFrom(
    "[abc]",
    "[^a]",
    "[a-c0-2]",
    "\\d",
    "\\D",
    "\\w",
    "\\W",
    "\\s",
    "\\S",
    ".",
    "[^\\s\\d]",
    "[\\w-]",
    "[]",
    "[^]",
  ),
);
const expression: fc.Arbitrary<string> = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    atom,
    fc
      .tuple(tie("expression"), fc.constantFrom("*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?"))
      .map(([a, b]) => `(?:${a})${b}`),
    fc.array(tie("expression"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("")),
    fc.array(tie("expression"), { minLength: 2, maxLength: 3 }).map((parts) => `(${parts.join("|")})`),
  ),
})).expression;

const text = fc.string({
  unit: fc.constantFrom("a", "b", "c", "1", "2", " ", "é", "日", "😀", "\n", "-", "."),
  maxLength: 7,
});

test("an expression allows the texts JavaScript says it matches, and no others", () => {
  fc.assert(
    fc.property(expression, fc.array(text, { minLength: 8, maxLength: 8 }), (source, texts) => {
      const oracle = new RegExp(`^(?:${source})$`, "u");
      let constraint: ReturnType<typeof compileConstraint>;
      try {
        constraint = compileConstraint(bytes, { regex: source });
      } catch (error) {
        assert.instance(error, OptionError);
        assert.match((error as Error).message, /No text matches/);
        assert.not(texts.some((each) => oracle.test(each)));
        return;
      }
      for (const each of texts)
        assert.is(accepts(constraint, each), oracle.test(each), `${source} on ${JSON.stringify(each)}`);
    }),
    { numRuns: 400 },
  );
});

test("what is written with the embedded vocabulary matches", () => {
  fc.assert(
    fc.property(expression, fc.nat(), (source, seed) => {
      let constraint: ReturnType<typeof compileConstraint>;
      try {
        constraint = compileConstraint(storyVocabulary(), { regex: source });
      } catch {
        return;
      }
      const written = randomText(constraint, storyVocabulary(), randomNumbers(seed), 60);
      if (written !== undefined) assert.match(written, new RegExp(`^(?:${source})$`, "u"));
    }),
    { numRuns: 60 },
  );
});

test("anchors hold at the ends of the text only", () => {
  const agree = (source: string, ...texts: string[]) => {
    const constraint = compileConstraint(bytes, { regex: source });
    for (const each of texts)
      assert.is(accepts(constraint, each), new RegExp(`^(?:${source})$`, "u").test(each), source);
  };
  agree("^ab$", "ab", "aab");
  agree("a(^b|c)", "ab", "ac");
  agree("(a|b$)c?", "a", "b", "ac", "bc");
  agree("(^|x)a($|y)", "a", "xa", "ay", "xay");
});

test("flags: i for ASCII letters, s for dots; letters beyond ASCII with i are refused", () => {
  const insensitive = compileConstraint(bytes, { regex: /k[s-u]+/i });
  for (const each of ["kst", "KSU", "\u212As", "k\u017F"]) assert.ok(accepts(insensitive, each), each);
  assert.not(accepts(insensitive, "kv"));
  assert.ok(accepts(compileConstraint(bytes, { regex: /a.b/s }), "a\nb"));
  assert.not(accepts(compileConstraint(bytes, { regex: /a.b/ }), "a\nb"));
  assert.throws(() => compileConstraint(bytes, { regex: /é/i }), /outside of ASCII/);
});

test("categories are those of one Unicode version", () => {
  const letters = compileConstraint(bytes, { regex: "\\p{L}+\\P{N}" });
  assert.ok(accepts(letters, "日本é!"));
  assert.not(accepts(letters, "a1"));
});

for (const [source, said] of [
  ["(?=a)b", "looks ahead"],
  ["(?!a)b", "looks ahead"],
  ["(?<=a)b", "looks behind"],
  ["(?<!a)b", "looks behind"],
  ["(a)\\1", "back reference"],
  ["(?<n>a)\\k<n>", "back reference"],
  ["\\bword", "word boundary"],
  ["\\p{Script=Greek}", "Script=Greek"],
  ["\\p{constructor}", "constructor"],
  ["a{3,1}", "ends before it begins"],
  ["a**", "repeats a repetition"],
  ["(a", "without a"],
  ["a)", "without a"],
  ["[a", "without a"],
  ["[b-a]", "ends before it begins"],
  ["*a", "nothing to repeat"],
  ["a\\", "ends with a backslash"],
  ["[]", "No text matches"],
  ["(a{1000}){1000}", "states"],
  ["(a|b)*a(a|b){30}", "states"],
] as const)
  test(`refused by name: ${source}`, () => {
    try {
      compileConstraint(bytes, { regex: source });
      assert.unreachable();
    } catch (error) {
      assert.instance(error, OptionError);
      assert.match((error as Error).message, said);
    }
  });

test.run();
