/** First words of the story model, always the likeliest token. */
export const PROMPT = "Once upon a time, there was a little girl named Lily.";
export const STORY =
  " She loved to play with her toys and eat yummy food. One day, Lily's mom told her that they were going to a party.";

/** The text of an answer. */
export async function textOf(pieces) {
  let text = "";
  for await (const piece of pieces) text += piece.text;
  return text;
}

/** What a call throws. */
export async function failure(run) {
  try {
    await run();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

export function equal(actual, expected, what) {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)} instead of ${String(expected)}`);
}

export function sameBits(a, b) {
  const bits = (x) => new Uint32Array(x.buffer, x.byteOffset, x.length);
  equal(a.length, b.length, "length");
  equal(
    bits(a).findIndex((value, i) => value !== bits(b)[i]),
    -1,
    "first different logit",
  );
}
