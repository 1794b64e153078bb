import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TokenizerError, UnsupportedError } from "#src/errors.js";
import { LinearPattern } from "#src/tokenizer/linear-pattern.js";
import {
  compileStages,
  javascriptPattern,
  preTokenizer,
  preTokenizerNames,
  splitText,
} from "#src/tokenizer/pre-tokenizers.js";
import { createTokenizer } from "#src/tokenizer/tokenizer.js";
import { storyData } from "../helpers/tokenizers.js";

const matches = (text: string, pattern: RegExp | LinearPattern) =>
  Array.from(text.matchAll(pattern as RegExp), ({ 0: found, index }) => [index, found]);

const letters = fc.constantFrom(..."ab1 \n'.sS", "ß", "é", "漢", "\u{1F600}", "\u0301", "\u{1D7CE}", "\t", "\ud800");
const texts = fc.array(letters, { maxLength: 25 }).map((list) => list.join(""));

test("every known pre-tokenizer cuts as with the built-in engine", () => {
  for (const name of preTokenizerNames)
    for (const stage of preTokenizer(name).stages) {
      const builtIn = javascriptPattern(stage);
      const own = new LinearPattern(builtIn.source);
      fc.assert(
        fc.property(texts, (text) => assert.equal(matches(text, own), matches(text, builtIn))),
        { seed: 1, numRuns: 25 },
      );
    }
});

/** Patterns of all that is known, nested. */
const patterns = fc.letrec<{ any: string }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(
      "a",
      "b",
      "\\s",
      "\\p{L}",
      "[^a]",
      "[a-b\\d]",
      ".",
      "^",
      "$",
      "\\b",
      "\\B",
      "\\u{1F600}",
      "'",
      "[\\]x]",
    ),
    fc.array(tie("any"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("")),
    fc.array(tie("any"), { minLength: 2, maxLength: 3 }).map((parts) => `(?:${parts.join("|")})`),
    fc
      // What is repeated is never empty: of empty rounds JavaScript has rules of its own.
      .tuple(tie("any"), fc.constantFrom("*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?", "{2,}"))
      .map(([part, count]) => `(?:[ab\\s]${part})${count}`),
    fc.tuple(fc.constantFrom("(?=", "(?!", "(?<=", "(?<!"), tie("any")).map(([open, part]) => `${open}${part})`),
  ),
})).any;

// V8 finds empty matches inside surrogate pairs, which the language does not.
const plainTexts = texts.map((text) => text.replace(/[\ud800-\udfff]/g, "x"));

test("any pattern finds what the built-in engine finds", () => {
  fc.assert(
    fc.property(patterns, plainTexts, (pattern, text) => {
      assert.equal(matches(text, new LinearPattern(pattern)), matches(text, new RegExp(pattern, "gu")));
    }),
    { seed: 3, numRuns: 1500 },
  );
});

test("a pattern that would take for ever does not: as many steps as the text is long, or an error", async () => {
  for (const pattern of [
    "(a+)+$",
    "(a|a)*b",
    "(a|aa)+$",
    "(.*)*x",
    "a*a*a*a*a*b",
    "(?:a?){30}a{30}b",
    "(\\s*\\S*)*!",
  ]) {
    const tokenizer = await createTokenizer({ ...storyData(), pre: undefined, pattern });
    const text = `${"a".repeat(20_000)} end`;
    assert.is(tokenizer.decode(tokenizer.encode(text)), text, pattern);
    assert.is(tokenizer.engine, "pair-merge");
  }
  const slow = await createTokenizer({ ...storyData(), pattern: "(?=a*$)a|(?=.*x)a|." });
  assert.throws(
    () => slow.encode("a".repeat(200_000)),
    (error: unknown) => error instanceof TokenizerError,
  );
});

test("a pattern from a file that is a published one is as fast as its name", () => {
  const llama = preTokenizer("llama-bpe").stages[0] as string;
  assert.instance(compileStages(preTokenizer(undefined, llama))[0], RegExp);
  assert.instance(compileStages(preTokenizer(undefined, "\\p{L}+"))[0], LinearPattern);
});

test("patterns that cannot be matched that way, or are too long, are refused", () => {
  for (const pattern of ["(a)\\1", "a{30000}", "(?:a{200}){200}", "(".repeat(300) + ")".repeat(300)])
    assert.throws(
      () => new LinearPattern(pattern),
      (error: unknown) => error instanceof UnsupportedError,
    );
});

test("five million letters without a break are one piece", () => {
  const text = "a".repeat(5_000_000);
  assert.equal(
    splitText(`${text} b`, compileStages(preTokenizer("llama-bpe"))).map((piece) => piece.length),
    [5_000_000, 2],
  );
});

test.run();
