import { test } from "uvu";
import * as assert from "uvu/assert";
import { TokenizerError } from "#src/errors.js";
import { createTokenizer } from "#src/tokenizer/tokenizer.js";
import { storyData } from "../helpers/tokenizers.js";

test("special tokens are plain text unless asked for", async () => {
  const tokenizer = await createTokenizer(storyData());
  const text = "Hi<|eot_id|><|pad|>!";
  assert.not.ok([...tokenizer.encode(text)].some((id) => tokenizer.isSpecial(id)));
  const ids = [...tokenizer.encode(text, { special: true })];
  assert.equal(ids.slice(-3), [4094, 4095, tokenizer.encode("!")[0]]);
  assert.is(tokenizer.decode(ids), text);
  assert.is(tokenizer.decode(ids, { special: false }), "Hi!");
});

test("of special tokens that begin alike the longest is taken", async () => {
  const data = storyData();
  data.tokens[4094] = "<|eot";
  data.tokens[4095] = "<|eot_id|>";
  const tokenizer = await createTokenizer(data);
  assert.equal([...tokenizer.encode("<|eot_id|><|eot", { special: true })], [4095, 4094]);
});

test("the first token is put in front once, when asked for", async () => {
  const tokenizer = await createTokenizer(storyData());
  assert.equal([...tokenizer.encode("", { addBos: true })], [4092]);
  assert.equal([...tokenizer.encode("<|begin_of_text|>", { addBos: true, special: true })], [4092]);
  assert.is(tokenizer.encode("a", { addBos: true })[0], 4092);
  assert.equal([...tokenizer.encode("")], []);
  const without = await createTokenizer({ ...storyData(), bosId: undefined });
  assert.is(without.addBos, false);
  assert.is(without.encode("a", { addBos: true }).length, 1);
});

test("whether the model wants its first token: the file decides, then the pre-tokenizer", async () => {
  const addBos = async (rest: object) => (await createTokenizer({ ...storyData(), ...rest })).addBos;
  assert.is(await addBos({ pattern: undefined, pre: "llama-bpe" }), true);
  assert.is(await addBos({ pattern: undefined, pre: "llama-bpe", addBos: false }), false);
  assert.is(await addBos({ pattern: undefined, pre: "gpt-2" }), false);
  assert.is(await addBos({ pattern: undefined, pre: "gpt-2", addBos: true }), true);
});

test("tokens that end a turn are known by text, besides those the file names", async () => {
  const tokenizer = await createTokenizer({ ...storyData(), eosIds: [7] });
  assert.equal(tokenizer.stopIds, [7, 4093, 4094]);
  assert.is(tokenizer.specialId("<|eot_id|>"), 4094);
  assert.is(tokenizer.specialId("the"), undefined);
  assert.is(tokenizer.vocabularySize, 4096);
  assert.is(tokenizer.bosId, 4092);
});

test("without token types, what looks like a special token is one", async () => {
  const tokenizer = await createTokenizer({ ...storyData(), types: [] });
  assert.equal([...tokenizer.encode("<|pad|>", { special: true })], [4095]);
  assert.ok(tokenizer.encode("<|pad|>").length > 1);
});

test("readable text of a token", async () => {
  const tokenizer = await createTokenizer(storyData());
  assert.is(tokenizer.tokenText(220), " ");
  assert.is(tokenizer.tokenText(4094), "<|eot_id|>");
  assert.is(tokenizer.tokenText(tokenizer.encode("\u{10348}")[0]!), "\ufffd");
});

test("a foreign id, and use after dispose, are errors; disposing twice is not", async () => {
  const tokenizer = await createTokenizer(storyData());
  assert.throws(
    () => tokenizer.decode([4096]),
    (error: unknown) => error instanceof TokenizerError && /4096/.test(error.message),
  );
  tokenizer.dispose();
  tokenizer.dispose();
  assert.throws(
    () => tokenizer.encode("a"),
    (error: unknown) => error instanceof TokenizerError,
  );
  assert.is(tokenizer.decode([220]), " ");
});

test("a model without a vocabulary takes ids only", async () => {
  const tokenizer = await createTokenizer({ kind: "bpe", tokens: [], types: [], merges: [], eosIds: [] });
  assert.is(tokenizer.decode([1, 2]), "");
  assert.throws(() => tokenizer.encode("a"), /no vocabulary/);
});

test.run();
