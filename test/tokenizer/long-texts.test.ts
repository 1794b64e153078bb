import { test } from "uvu";
import * as assert from "uvu/assert";
import { createTokenizer } from "#src/tokenizer/tokenizer.js";
import { storyData } from "../helpers/tokenizers.js";

// tiktoken alone takes hours for some of these: its time grows with the square of a piece.
const texts: [name: string, text: string][] = [
  ["letters", "a".repeat(1e6)],
  ["accents", "é".repeat(5e5)],
  ["spaces", `${" ".repeat(1e6)}b`],
  ["line ends", "\n".repeat(1e6)],
  ["spaces and line ends", " \n".repeat(5e5)],
  ["digits", "1".repeat(1e6)],
  ["dots", `the end${".".repeat(1e6)}`],
  ["ideographs", "中文".repeat(2e5)],
];
for (const [name, text] of texts)
  test(`a megabyte of ${name} takes seconds at most and comes back`, async () => {
    const tokenizer = await createTokenizer(storyData());
    const start = Date.now();
    const ids = tokenizer.encode(text);
    assert.ok(Date.now() - start < 15_000, `${Date.now() - start} ms`);
    assert.ok(tokenizer.decode(ids) === text);
  });

test("a long piece is cut as a short one of its kind would be, whichever engine gets it", async () => {
  const fast = await createTokenizer(storyData(), { engine: "tiktoken" });
  const exact = await createTokenizer(storyData(), { engine: "pair-merge" });
  for (const length of [250, 255, 256, 257, 258, 600])
    for (const unit of ["a", " ", "ab", "é", "!?", "\n", "the", "12"]) {
      const text = `Once ${unit.repeat(length)} upon.`;
      assert.equal([...fast.encode(text)], [...exact.encode(text)], `${length} ${JSON.stringify(unit)}`);
    }
});

test.run();
