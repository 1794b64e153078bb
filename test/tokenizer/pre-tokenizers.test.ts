import { test } from "uvu";
import * as assert from "uvu/assert";
import { UnsupportedError } from "#src/errors.js";
import { javascriptPattern, preTokenizer, preTokenizerNames, splitText } from "#src/tokenizer/pre-tokenizers.js";
import { createTokenizer } from "#src/tokenizer/tokenizer.js";
import { storyData } from "../helpers/tokenizers.js";

const split = (name: string | undefined, text: string) =>
  splitText(text, preTokenizer(name).stages.map(javascriptPattern));

test("pieces of the common pre-tokenizers", () => {
  const text = "It's  12345 WE'LL\n\n go!?\n";
  assert.equal(split("llama-bpe", text), ["It", "'s", " ", " ", "123", "45", " WE", "'LL", "\n\n", " go", "!?\n"]);
  assert.equal(split("qwen2", text), [
    "It",
    "'s",
    " ",
    " ",
    "1",
    "2",
    "3",
    "4",
    "5",
    " WE",
    "'LL",
    "\n\n",
    " go",
    "!?\n",
  ]);
  assert.equal(split("gpt-2", text), ["It", "'s", " ", " 12345", " WE", "'", "LL", "\n\n", " go", "!?", "\n"]);
  assert.equal(split("smollm", text), [
    "It",
    "'s",
    "  ",
    "1",
    "2",
    "3",
    "4",
    "5",
    " WE",
    "'",
    "LL",
    "\n\n",
    " go",
    "!?",
    "\n",
  ]);
  assert.equal(split(undefined, text), [
    "It",
    "'",
    "s",
    " ",
    " ",
    "123",
    "45",
    " WE",
    "'",
    "LL",
    "\n\n",
    " go",
    "!?",
    "\n",
  ]);
});

test("the pieces of every pre-tokenizer together are the text", () => {
  const text = "\ufeffA\u0085b  \u00a0c\u2028 'll99½ ١٢٣\r\n\r\n--x<|eot_id|>\u{1F600}e\u0301 \t";
  for (const name of preTokenizerNames) assert.is(split(name, text).join(""), text, name);
});

test("white space is Unicode's: U+0085 is, U+FEFF is not", () => {
  assert.equal(split("gpt-2", "a\u0085\ufeffb"), ["a", "\u0085", "\ufeff", "b"]);
  assert.equal("x\u0085y\ufeffz w".match(javascriptPattern("\\S+")), ["x", "y\ufeffz", "w"]);
});

test("patterns of Rust's dialect are understood", () => {
  const cl100k =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s";
  assert.equal("We'RE 1234 ok".match(javascriptPattern(cl100k)), ["We", "'RE", " ", "123", "4", " ok"]);
  assert.equal("'ſ'S".match(javascriptPattern("(?i:'s)")), ["'ſ", "'S"]);
  assert.equal("a-b<c'".match(javascriptPattern("\\-|\\<|\\'|[\\-x\\]]")), ["-", "<", "'"]);
});

test("an unknown name and an impossible pattern are refused by name", async () => {
  const refused = async (pre: string | undefined, pattern: string | undefined, message: RegExp) => {
    try {
      await createTokenizer({ ...storyData(), pre, pattern });
      assert.unreachable();
    } catch (error) {
      assert.instance(error, UnsupportedError);
      assert.match((error as Error).message, message);
    }
  };
  await refused("tekken", undefined, /"tekken".*tokenizer\.ggml\.pre.*llama-bpe/);
  await refused(undefined, "(?<=a", /\(\?<=a/);
});

test("what a pattern from a file leaves out is a piece, not lost", async () => {
  const data = { ...storyData(), pattern: "\\p{L}+" };
  for (const engine of ["tiktoken", "pair-merge"] as const) {
    const tokenizer = await createTokenizer(data, { engine });
    assert.is(tokenizer.decode(tokenizer.encode("two words, 3")), "two words, 3");
  }
});

test.run();
