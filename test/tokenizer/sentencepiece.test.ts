import { readFileSync } from "node:fs";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TokenizerError } from "#src/errors.js";
import { type TokenizerData, TokenType } from "#src/formats/model-file.js";
import { createTokenizer } from "#src/tokenizer/tokenizer.js";
import { sharedFile } from "../helpers/tokenizers.js";

/** The vocabulary of llama2.c's stories260K: `i32 longest, { f32 score, i32 length, bytes }…`, spaces not escaped. */
function tok512(): TokenizerData | undefined {
  const file = sharedFile("data/stories260K/tok512.bin");
  if (!file) return undefined;
  const bytes = readFileSync(file);
  const tokens: string[] = [];
  const scores: number[] = [];
  for (let at = 4; at < bytes.length; ) {
    const length = bytes.readInt32LE(at + 4);
    scores.push(bytes.readFloatLE(at));
    tokens.push(bytes.toString("utf8", at + 8, at + 8 + length).replaceAll(" ", "▁"));
    at += 8 + length;
  }
  tokens.splice(0, 3, "<unk>", "<s>", "</s>");
  const types = tokens.map((text, id) =>
    id === 0
      ? TokenType.unknown
      : id < 3
        ? TokenType.control
        : /^<0x..>$/.test(text)
          ? TokenType.byte
          : TokenType.normal,
  );
  return { kind: "sentencepiece", tokens, types, scores, merges: [], bosId: 1, eosIds: [2], unknownId: 0 };
}

/** `encode` of llama2.c's run.c: the best pair over the whole text, again and again. */
function llama2c(data: TokenizerData, text: string): number[] {
  const find = (piece: string) => data.tokens.findIndex((token, id) => data.types[id] === 1 && token === piece);
  const symbols = text === "" ? [] : [..."▁", ...text.replaceAll(" ", "▁")];
  for (;;) {
    let best = -1;
    let bestScore = -1e10;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const id = find(symbols[i]! + symbols[i + 1]!);
      if (id >= 0 && data.scores![id]! > bestScore) [best, bestScore] = [i, data.scores![id]!];
    }
    if (best < 0) break;
    symbols.splice(best, 2, symbols[best]! + symbols[best + 1]!);
  }
  return symbols.flatMap((symbol) => {
    const id = find(symbol);
    return id >= 0 ? [id] : Array.from(new TextEncoder().encode(symbol), (byte) => byte + 3);
  });
}

test("known ids of stories260K", async () => {
  const data = tok512();
  if (!data) return;
  const tokenizer = await createTokenizer(data);
  assert.is(tokenizer.engine, "sentencepiece");
  assert.ok(tokenizer.addBos);
  assert.equal([...tokenizer.encode("Once upon a time", { addBos: true })], [1, 403, 407, 261, 378]);
  assert.equal(tokenizer.stopIds, [2]);
  assert.equal([...tokenizer.encode("</s>a", { special: true })], [2, ...tokenizer.encode("a")]);
});

test("the same ids as llama2.c's loop, and the text comes back", async () => {
  const data = tok512();
  if (!data) return;
  const tokenizer = await createTokenizer(data);
  const unit = fc.constantFrom("a", "e", "h", "t", "n", " ", "O", "the", "\n", ".", "é", "中", "\u{1F600}", "\u0000");
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 20 }), (text) => {
      const ids = [...tokenizer.encode(text)];
      assert.equal(ids, llama2c(data, text));
      assert.is(tokenizer.decode(ids), text);
      assert.is(tokenizer.decode(ids, { continues: true }), text === "" ? "" : ` ${text}`);
    }),
    { numRuns: 300 },
  );
});

test("text that is generated keeps the space of its first word", async () => {
  const data = tok512();
  if (!data) return;
  const tokenizer = await createTokenizer(data);
  const decoder = tokenizer.createDecoder();
  assert.is(decoder.push(407), " upon");
  assert.is(tokenizer.decode([407]), "upon");
});

test("no prefix where the file says so; the unknown token where there are no byte tokens", async () => {
  const data: TokenizerData = {
    kind: "sentencepiece",
    tokens: ["<unk>", "a", "▁", "aa"],
    types: [2, 1, 1, 1],
    scores: [0, -1, -2, -3],
    merges: [],
    eosIds: [],
    unknownId: 0,
    addSpacePrefix: false,
  };
  const tokenizer = await createTokenizer(data);
  assert.equal([...tokenizer.encode("aaa b")], [3, 1, 2, 0]);
  assert.is(tokenizer.decode([2, 3]), " aa");
  assert.equal([...(await createTokenizer({ ...data, addSpacePrefix: true })).encode("a")], [2, 1]);
  const none = await createTokenizer({ ...data, unknownId: undefined });
  assert.throws(() => none.encode("b"), /no token for "b"/);
  try {
    await createTokenizer({ ...data, scores: [1] });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, TokenizerError);
  }
});

test("a megabyte of one letter takes seconds at most", async () => {
  const data = tok512();
  if (!data) return;
  const tokenizer = await createTokenizer(data);
  const text = "a".repeat(1e6);
  assert.ok(tokenizer.decode(tokenizer.encode(text)) === text);
});

test.run();
