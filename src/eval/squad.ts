/** What Python's `str.split()` splits at. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: Python splits at these four separators too
const SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/gu;
/** `string.punctuation`. */
const PUNCTUATION = /[!-/:-@[-`{-~]/g;
/** Articles as whole words; letters of every script make a word, as with Python's `\b`. */
const ARTICLES = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;

/** An answer as the official SQuAD script compares it: lower case, no punctuation, no articles, single blanks. */
export function normaliseAnswer(text: string): string {
  return text.toLowerCase().replace(PUNCTUATION, "").replace(ARTICLES, " ").replace(SPACE, " ").replace(/^ | $/g, "");
}

/** Whether two answers are the same after normalisation. */
export function exactMatch(gold: string, prediction: string): boolean {
  return normaliseAnswer(gold) === normaliseAnswer(prediction);
}

/** Harmonic mean of precision and recall over the words of both; 1 or 0 when one of them has none. */
export function f1Score(gold: string, prediction: string): number {
  const goldWords = words(gold);
  const predicted = words(prediction);
  if (goldWords.length === 0 || predicted.length === 0) return goldWords.length === predicted.length ? 1 : 0;
  const left = new Map<string, number>();
  for (const word of goldWords) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of predicted) {
    const count = left.get(word) ?? 0;
    if (count === 0) continue;
    left.set(word, count - 1);
    common++;
  }
  if (common === 0) return 0;
  const precision = common / predicted.length;
  const recall = common / goldWords.length;
  return (2 * precision * recall) / (precision + recall);
}

/**
 * Scores one prediction: the best over all gold answers. A question without (non-empty) gold answers wants the empty
 * answer; "unanswerable" counts as that.
 * @see https://worksheets.codalab.org/worksheets/0x8212d84ca41c4150b555a075b19ccc05 (evaluate-v2.0.py)
 */
export function scoreAnswer(golds: readonly string[], prediction: string): { exact: number; f1: number } {
  const answer = normaliseAnswer(prediction) === "unanswerable" ? "" : prediction;
  const possible = golds.filter((gold) => normaliseAnswer(gold) !== "");
  if (possible.length === 0) possible.push("");
  return {
    exact: possible.some((gold) => exactMatch(gold, answer)) ? 1 : 0,
    f1: Math.max(...possible.map((gold) => f1Score(gold, answer))),
  };
}

function words(text: string): string[] {
  const normalised = normaliseAnswer(text);
  return normalised === "" ? [] : normalised.split(" ");
}
