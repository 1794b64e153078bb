import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { TokenizerData } from "#src/formats/model-file.js";
import { createTokenizer } from "#src/tokenizer/tokenizer.js";
import { llama3Data, smollm2Data, storyData } from "../helpers/tokenizers.js";

// Stretches of one kind, as they occur in texts, and single characters from all of Unicode.
const anyText = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary", maxLength: 8 }),
      fc.string({ unit: fc.constantFrom(" ", "\n", "\t", "\r", "\u00a0", "\u3000", "\ufeff", "\u0085"), maxLength: 6 }),
      fc.constantFrom(
        "'s",
        "'LL",
        "'ſ",
        "\u{1F469}\u200D\u{1F467}",
        "<|eot_id|>",
        "<|im_end|>",
        "x\u0004y",
        "مرحبا",
        "½",
        "١٢٣",
      ),
      fc.string({ unit: fc.constantFrom("0", "1", "a", "B", "é", "中", ".", "!", " ", "th", "ing"), maxLength: 12 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(""));

const models: [name: string, data: () => TokenizerData | undefined][] = [
  ["story", storyData],
  ["SmolLM2", smollm2Data],
  ["llama 3", () => llama3Data({ "<|begin_of_text|>": 128000, "<|eot_id|>": 128009 })],
];
for (const [name, load] of models)
  test(`${name}: tiktoken and pair merges give the same ids, none of them special`, async () => {
    const data = load();
    if (!data) return;
    const fast = await createTokenizer(data, { engine: "tiktoken" });
    const exact = await createTokenizer(data, { engine: "pair-merge" });
    assert.is(fast.engine, "tiktoken");
    fc.assert(
      fc.property(anyText, (text) => {
        const ids = fast.encode(text);
        assert.equal([...ids], [...exact.encode(text)]);
        assert.ok(!ids.some((id) => fast.isSpecial(id)));
      }),
      { numRuns: 1500 },
    );
    fast.dispose();
  });

test("story: every text comes back, special tokens parsed or not", async () => {
  const tokenizer = await createTokenizer(storyData());
  fc.assert(
    fc.property(anyText, fc.boolean(), (text, special) => {
      assert.is(tokenizer.decode(tokenizer.encode(text, { special })), text);
    }),
    { numRuns: 1500 },
  );
});

test("every character is of the same kind for both engines, whatever Unicode version runs this", async () => {
  const fast = await createTokenizer(storyData(), { engine: "tiktoken" });
  const exact = await createTokenizer(storyData(), { engine: "pair-merge" });
  for (let block = 0; block < 0x33800; block += 0x400) {
    if (block >= 0xd800 && block < 0xe000) continue;
    const characters = Array.from({ length: 0x400 }, (_, i) => String.fromCodePoint(block + i));
    const text = characters.map((character) => `${character}a${character}1${character}.`).join("");
    assert.equal([...fast.encode(text)], [...exact.encode(text)], `U+${block.toString(16)}`);
  }
});

test("a lone surrogate is encoded as U+FFFD", async () => {
  for (const engine of ["tiktoken", "pair-merge"] as const) {
    const tokenizer = await createTokenizer(storyData(), { engine });
    assert.is(tokenizer.decode(tokenizer.encode("a\ud800b\udc00")), "a\ufffdb\ufffd");
  }
});

test("ids decoded one by one give the text of all, and never half a character", async () => {
  const tokenizer = await createTokenizer(storyData());
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat(4095), fc.integer({ min: 94, max: 255 })), { maxLength: 60 }),
      fc.boolean(),
      (ids, special) => {
        const decoder = tokenizer.createDecoder({ special });
        let text = "";
        for (const id of ids) {
          const more = decoder.push(id);
          assert.ok(!/[\ud800-\udfff]/u.test(more), "half a character");
          text += more;
        }
        text += decoder.flush();
        assert.is(text, tokenizer.decode(ids, { special }));
        const kept = special ? ids : ids.filter((id) => !tokenizer.isSpecial(id));
        assert.is(text, new TextDecoder("utf-8", { ignoreBOM: true }).decode(tokenizer.decodeBytes(kept)));
      },
    ),
    { numRuns: 1500 },
  );
});

test("a character over several tokens appears with its last byte", async () => {
  const tokenizer = await createTokenizer(storyData());
  const decoder = tokenizer.createDecoder();
  const ids = [...tokenizer.encode("\u{10348}")];
  assert.ok(ids.length > 1);
  assert.equal(
    ids.map((id) => decoder.push(id)),
    [...ids.slice(1).map(() => ""), "\u{10348}"],
  );
  decoder.push(ids[0]!);
  assert.is(decoder.flush(), "\ufffd");
  assert.is(decoder.push(tokenizer.encode("a")[0]!), "a");
});

test.run();
