import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TokenizerError } from "#src/errors.js";
import type { TokenizerData } from "#src/formats/model-file.js";
import { readBpeVocabulary } from "#src/tokenizer/bpe-vocabulary.js";
import { alphabetCharacter } from "#src/tokenizer/byte-alphabet.js";
import { PairMergeEncoding } from "#src/tokenizer/pair-merge.js";
import { createTokenizer } from "#src/tokenizer/tokenizer.js";

const bytes = Array.from({ length: 256 }, (_, byte) => alphabetCharacter(byte));

/** A vocabulary of all bytes and the given merges, results numbered in merge order. */
const trained = (merges: string[]): TokenizerData => {
  const tokens = [...bytes, ...merges.map((merge) => merge.replace(" ", ""))];
  return { kind: "bpe", tokens, types: tokens.map(() => 1), merges, eosIds: [] };
};

/** Merges of random neighbours of the letters a, b, c and of what came of them, no text twice. */
const randomMerges = fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 12 }).map((choices) => {
  const made = ["a", "b", "c"];
  const merges: string[] = [];
  for (const [l, r] of choices) {
    const left = made[l % made.length]!;
    const right = made[r % made.length]!;
    if (made.includes(left + right) || left.length + right.length > 12) continue;
    merges.push(`${left} ${right}`);
    made.push(left + right);
  }
  return merges;
});

/** The loop as one would first write it: look for the best pair, join it, again. */
const naive = (text: string, rank: (left: string, right: string) => number | undefined): string[] => {
  const symbols = [...text];
  for (;;) {
    let best = -1;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const order = rank(symbols[i]!, symbols[i + 1]!) ?? Number.POSITIVE_INFINITY;
      if (order < bestRank) [best, bestRank] = [i, order];
    }
    if (best < 0) return symbols;
    symbols.splice(best, 2, symbols[best]! + symbols[best + 1]!);
  }
};

const everything = [/[\s\S]+/gu];
const abc = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 40 });

test("several merges may make the same token, and each keeps its place", () => {
  const repeated = fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 30 }).map((choices) => {
    const made = ["a", "b", "c"];
    return choices.flatMap(([l, r]) => {
      const [left, right] = [made[l % made.length]!, made[r % made.length]!];
      if (left.length + right.length > 6) return [];
      if (!made.includes(left + right)) made.push(left + right);
      return [`${left} ${right}`];
    });
  });
  fc.assert(
    fc.property(repeated, abc, (merges, text) => {
      const tokens = [...new Set([...bytes, ...merges.map((merge) => merge.replace(" ", ""))])];
      const data: TokenizerData = { kind: "bpe", tokens, types: tokens.map(() => 1), merges, eosIds: [] };
      const encoding = new PairMergeEncoding(readBpeVocabulary(data), everything, false);
      const expected = naive(text, (left, right) => {
        const place = merges.indexOf(`${left} ${right}`);
        return place < 0 ? undefined : place;
      });
      assert.equal(
        encoding.encode(text),
        expected.map((symbol) => tokens.indexOf(symbol)),
      );
    }),
    { numRuns: 1000 },
  );
});

test("the heap gives what the plain loop gives", () => {
  fc.assert(
    fc.property(randomMerges, abc, (merges, text) => {
      const data = trained(merges);
      const encoding = new PairMergeEncoding(readBpeVocabulary(data), everything, false);
      const order = new Map(merges.map((merge, i) => [merge, i]));
      const expected = naive(text, (left, right) => order.get(`${left} ${right}`));
      assert.equal(
        encoding.encode(text),
        expected.map((symbol) => data.tokens.indexOf(symbol)),
      );
    }),
    { numRuns: 1000 },
  );
});

test("where ids are found to do as ranks, they give what the merges give", () => {
  let yes = 0;
  let no = 0;
  fc.assert(
    fc.property(randomMerges, fc.array(abc, { minLength: 20, maxLength: 20 }), (merges, texts) => {
      const vocabulary = readBpeVocabulary(trained(merges));
      const exact = new PairMergeEncoding(vocabulary, everything, false);
      const ranks = new PairMergeEncoding({ ...vocabulary, merges: undefined }, everything, true);
      const tokens = [...vocabulary.ids.keys()].filter((text) => text.length > 1);
      const same = (text: string) => JSON.stringify(exact.encode(text)) === JSON.stringify(ranks.encode(text));
      if (vocabulary.ranksAreIds()) {
        yes++;
        for (const text of [...texts, ...tokens]) assert.ok(same(text), `${merges} | ${text}`);
      } else no++;
    }),
    { numRuns: 2000 },
  );
  assert.ok(yes > 200 && no > 200, `${yes} yes, ${no} no`);
});

test("merges out of the order of their results are followed by pair merges", async () => {
  const data = trained(["a b", "b c"]);
  const swapped = { ...data, merges: ["b c", "a b"] };
  assert.is((await createTokenizer({ ...data, pre: "gpt-2" })).engine, "tiktoken");
  const tokenizer = await createTokenizer({ ...swapped, pre: "gpt-2" });
  assert.is(tokenizer.engine, "pair-merge");
  assert.is(tokenizer.decode(tokenizer.encode("abc").subarray(1)), "bc");
});

test("a token that no merge makes is only had as a whole piece, and only where the pre-tokenizer says so", async () => {
  const data = trained(["a b"]);
  data.tokens.push("abc");
  (data.types as number[]).push(1);
  const gpt2 = await createTokenizer({ ...data, pre: "gpt-2" });
  assert.is(gpt2.engine, "pair-merge");
  assert.is(gpt2.encode("abc").length, 2);
  assert.equal([...(await createTokenizer({ ...data, pre: "llama-bpe" })).encode("abc")], [257]);
});

test("every split of every token as merges, as for Llama 3, means ids as ranks", () => {
  const tokens = ["a", "b", "c", "aa", "ab", "ba", "aab", "aba", "aaba", "abaa"];
  const merges = tokens.flatMap((token) =>
    Array.from({ length: token.length - 1 }, (_, i) => [token.slice(0, i + 1), token.slice(i + 1)])
      .filter((halves) => halves.every((half) => tokens.includes(half)))
      .map((halves) => halves.join(" ")),
  );
  assert.ok(merges.length > tokens.length);
  const vocabulary = readBpeVocabulary({ kind: "bpe", tokens, types: tokens.map(() => 1), merges, eosIds: [] });
  assert.is(vocabulary.merges, undefined);
  assert.ok(vocabulary.ranksAreIds());
});

test("a merge that leads to no token is refused", async () => {
  for (const merge of ["a x", "ab", " ", ""]) {
    const data = { ...trained(["a b"]), merges: ["a b", merge] };
    try {
      await createTokenizer(data);
      assert.unreachable(merge);
    } catch (error) {
      assert.instance(error, TokenizerError);
      assert.match((error as Error).message, /tokenizer\.ggml\.merges/);
    }
  }
});

test.run();
