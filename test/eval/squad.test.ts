import { test } from "uvu";
import * as assert from "uvu/assert";
import { exactMatch, f1Score, normaliseAnswer, scoreAnswer } from "#src/eval/squad.js";

test("answers are compared without case, punctuation, articles and extra blanks", () => {
  for (const [text, expected] of [
    ["The Eiffel  Tower!", "eiffel tower"],
    ["an apple, a pear & the plum", "apple pear plum"],
    ["Theatre of Athena", "theatre of athena"],
    ["U.S.A.", "usa"],
    // Punctuation goes before articles: "a-b" is one word by then.
    ["a-b a'c", "ab ac"],
    ["  10th\tand\n11th centuries ", "10th and 11th centuries"],
    ["the", ""],
    ["$5.5 million", "55 million"],
    ["“The” Café – ÉTÉ", "“ ” café – été"],
    // Letters of every script make words: no article inside them.
    ["éa naïvea ща an", "éa naïvea ща"],
    ["x\u00a0y\u2003z\u0085w", "x y z w"],
    ["", ""],
  ] as const)
    assert.is(normaliseAnswer(text), expected, text);
});

test("exact match after normalisation", () => {
  assert.ok(exactMatch("the Norse", "Norse."));
  assert.not(exactMatch("Norse", "Norsemen"));
  assert.ok(exactMatch("", "the"));
});

test("F1 over words, counted as often as they occur", () => {
  assert.is(f1Score("Denmark, Iceland and Norway", "Denmark Iceland and Norway"), 1);
  assert.is(f1Score("Denmark, Iceland and Norway", "Norway"), (2 * 1 * 0.25) / 1.25);
  assert.is(f1Score("b c", "b b b d"), (2 * 0.25 * 0.5) / 0.75);
  assert.is(f1Score("b b c", "b b d d"), (2 * 0.5 * (2 / 3)) / (0.5 + 2 / 3));
  assert.is(f1Score("b", "c"), 0);
  assert.is(f1Score("", ""), 1);
  assert.is(f1Score("the", "a"), 1);
  assert.is(f1Score("", "b"), 0);
  assert.is(f1Score("b", ""), 0);
});

test("the best of several gold answers counts", () => {
  assert.equal(scoreAnswer(["10th century", "the first half of the 10th century"], "first half of the 10th century"), {
    exact: 1,
    f1: 1,
  });
  const { exact, f1 } = scoreAnswer(["10th", "the 10th century AD"], "10th century");
  assert.is(exact, 0);
  assert.is(f1, (2 * 1 * (2 / 3)) / (1 + 2 / 3));
});

test("a question without an answer wants the empty one, or the word unanswerable", () => {
  for (const nothing of ["", "unanswerable", " Unanswerable. ", "the"])
    assert.equal(scoreAnswer([], nothing), { exact: 1, f1: 1 }, nothing);
  assert.equal(scoreAnswer([], "France"), { exact: 0, f1: 0 });
  assert.equal(scoreAnswer(["France"], "unanswerable"), { exact: 0, f1: 0 });
  // A gold answer of which nothing is left counts as none.
  assert.equal(scoreAnswer(["The!"], ""), { exact: 1, f1: 1 });
});

test.run();
