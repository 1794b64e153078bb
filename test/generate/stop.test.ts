import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createStopMatcher } from "#src/generate/stop.js";

const stream = (pieces: string[], stops: string[]) => {
  const matcher = createStopMatcher(stops);
  let text = "";
  for (const piece of pieces) text += matcher.push(piece).emit;
  const end = matcher.flush();
  return { text: text + end.emit, stopped: end.stopped };
};

test("without stop texts everything passes at once", () => {
  const matcher = createStopMatcher([]);
  assert.equal(matcher.push("Hello"), { emit: "Hello", stopped: false });
  assert.equal(matcher.flush(), { emit: "", stopped: false });
});

test("what may begin a stop text is held back until it is clear", () => {
  const matcher = createStopMatcher(["\nUser:"]);
  assert.equal(matcher.push("Yes.\nUs"), { emit: "Yes.", stopped: false });
  assert.equal(matcher.push("ually"), { emit: "\nUsually", stopped: false });
  assert.equal(matcher.push("\n"), { emit: "", stopped: false });
  assert.equal(matcher.push("\nUser: no"), { emit: "\n", stopped: true });
  assert.equal(matcher.push("more"), { emit: "", stopped: true });
  assert.equal(matcher.flush(), { emit: "", stopped: true });
});

test("held text is given out at the end", () => {
  const matcher = createStopMatcher(["stop"]);
  assert.equal(matcher.push("do not st"), { emit: "do not ", stopped: false });
  assert.equal(matcher.flush(), { emit: "st", stopped: false });
});

test("of two stop texts the one that begins first counts, even when it is complete later", () => {
  assert.equal(stream(["xab", "cd"], ["abcd", "bc"]), { text: "x", stopped: true });
  assert.equal(stream(["xab", "ce"], ["abcd", "bc"]), { text: "xa", stopped: true });
  assert.equal(stream(["xabc"], ["abcd", "bc"]), { text: "xa", stopped: true });
});

test("however it is cut up, the text ends before the first place where a stop text begins", () => {
  const word = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), fc.array(word, { maxLength: 3 }), (pieces, stops) => {
      const whole = pieces.join("");
      const places = stops.map((stop) => whole.indexOf(stop)).filter((at) => at >= 0);
      const expected = places.length
        ? { text: whole.slice(0, Math.min(...places)), stopped: true }
        : { text: whole, stopped: false };
      assert.equal(stream(pieces, stops), expected);
    }),
    { numRuns: 2000 },
  );
});

test.run();
