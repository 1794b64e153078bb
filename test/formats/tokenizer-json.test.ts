import { test } from "uvu";
import * as assert from "uvu/assert";
import { UnsupportedError } from "#src/errors.js";
import { openModel } from "#src/formats/open.js";
import { type Json, tinyFolder, tinyTokenizer } from "../helpers/tiny-huggingface.js";
import { rejection } from "./source-conformance.js";

async function tokenizer(changes: Json, config?: Json) {
  const files = { "tokenizer.json": { ...tinyTokenizer, ...changes }, "tokenizer_config.json": config };
  return (await openModel(tinyFolder(files))).tokenizer;
}
const model = (changes: Json): Json => ({ model: { ...(tinyTokenizer.model as Json), ...changes } });
const sequence = (...pretokenizers: Json[]): Json => ({ pre_tokenizer: { type: "Sequence", pretokenizers } });
const byteLevel = (use_regex: boolean): Json => ({ type: "ByteLevel", add_prefix_space: false, use_regex });
const split = (Regex: string): Json => ({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false });

test("pre-tokenizers by name or by their expression", async () => {
  assert.is((await tokenizer({})).pre, "gpt-2");
  const digits = sequence({ type: "Digits", individual_digits: true }, byteLevel(true));
  assert.is((await tokenizer(digits)).pre, "smollm");
  const own = await tokenizer(sequence(split("\\w+|\\W+"), byteLevel(false)));
  assert.equal([own.pre, own.pattern], [undefined, "\\w+|\\W+"]);
});

for (const [what, changes] of [
  ["no pre-tokenizer", { pre_tokenizer: null }],
  ["whitespace", { pre_tokenizer: { type: "Whitespace" } }],
  ["digits in groups", sequence({ type: "Digits", individual_digits: false }, byteLevel(true))],
  ["three steps", sequence(split("a"), split("b"), byteLevel(false))],
  [
    "a plain string to split at",
    sequence({ type: "Split", pattern: { String: " " }, behavior: "Isolated" }, byteLevel(false)),
  ],
  ["matches removed", sequence({ ...split("a"), behavior: "Removed" }, byteLevel(false))],
  ["a normalizer", { normalizer: { type: "Lowercase" } }],
  ["Unigram", model({ type: "Unigram" })],
] as [string, Json][]) {
  test(`not supported: ${what}`, async () => {
    assert.instance(await rejection(tokenizer(changes)), UnsupportedError);
  });
}

for (const [what, changes, message] of [
  ["an id outside", model({ vocab: { a: 8 } }), /id 8, the model has 8/],
  ["a negative id", model({ vocab: { a: -1 } }), /id -1/],
  ["two texts for one id", model({ vocab: { a: 0, b: 0 } }), /two texts/],
  ["no vocabulary", model({ vocab: undefined }), /no vocabulary/],
  ["a merge of one", model({ merges: ["ab"] }), /A merge is "ab"/],
  ["a merge of three", model({ merges: [["a", "b", "c"]] }), /A merge is/],
  ["an added token without text", { added_tokens: [{ id: 3 }] }, /no text/],
  ["no model", { model: null }, /no model/],
] as [string, Json, RegExp][]) {
  test(`damaged: ${what}`, async () => {
    assert.match((await rejection(tokenizer(changes))).message, message);
  });
}

test("whether texts begin with BOS: the template, else tokenizer_config.json", async () => {
  const single = (...ids: string[]) => ({
    post_processor: {
      type: "Sequence",
      processors: [
        { type: "ByteLevel" },
        {
          type: "TemplateProcessing",
          single: ids.map((id) => (id ? { SpecialToken: { id } } : { Sequence: { id: "A" } })),
        },
      ],
    },
  });
  assert.is((await tokenizer({})).addBos, false);
  assert.is((await tokenizer({}, { add_bos_token: true })).addBos, true);
  const around = await tokenizer(single("<|begin_of_text|>", "", "<|end_of_text|>"), {
    bos_token: { content: "<|begin_of_text|>" },
  });
  assert.equal([around.addBos, around.addEos], [true, true]);
  const after = await tokenizer(single("", "<|end_of_text|>"));
  assert.equal([after.addBos, after.addEos], [false, true]);
});

test("SentencePiece-like BPE: byte tokens, merges in place of scores, a space in front where the file says so", async () => {
  const vocab = { "<unk>": 0, "<0x0A>": 1, "▁": 2, a: 3, "▁a": 4 };
  const normalized = (...normalizers: Json[]) =>
    tokenizer({
      ...model({ byte_fallback: true, unk_token: "<unk>", vocab, merges: ["▁ a"] }),
      normalizer: { type: "Sequence", normalizers },
      pre_tokenizer: null,
    });
  const replace = { type: "Replace", pattern: { String: " " }, content: "▁" };
  const data = await normalized({ type: "Prepend", prepend: "▁" }, replace);
  assert.is((await normalized(replace)).addSpacePrefix, false);
  assert.equal([data.kind, data.addSpacePrefix, data.unknownId], ["sentencepiece", true, 0]);
  assert.equal([...data.types].slice(0, 5), [2, 6, 1, 1, 1]);
  assert.equal([data.scores, [...data.merges]], [undefined, ["▁ a"]]);
});

test("a Unicode normalisation, and tokens that take white space along", async () => {
  const data = await tokenizer({
    normalizer: { type: "NFC" },
    added_tokens: [{ id: 7, content: "<|end|>", special: true, rstrip: true }],
  });
  assert.equal([data.normalization, data.stripLeft, data.stripRight], ["NFC", undefined, [7]]);
});

test("ids nobody names are unused", async () => {
  const data = await tokenizer({ ...model({ vocab: { a: 0, b: 3 }, merges: [] }), added_tokens: [] });
  assert.equal(data.tokens, ["a", "", "", "b"]);
  assert.equal([...data.types], [1, 5, 5, 1]);
});

test.run();
