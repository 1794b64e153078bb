import { test } from "uvu";
import * as assert from "uvu/assert";
import { collectCall } from "#src/generate/tool-calls.js";
import type { ToolFormat } from "#src/tools/formats.js";
import { ToolParser } from "#src/tools/parser.js";
import type { ToolCall } from "#src/types/tools.js";
import { randomNumbers } from "../helpers/constraints.js";
import { transcripts } from "./transcripts.js";

function parse(format: ToolFormat, pieces: Iterable<string>): { text: string; calls: ToolCall[] } {
  const parser = new ToolParser(format, (index) => `call_${index}`);
  const calls: ToolCall[] = [];
  let text = "";
  for (const piece of pieces) {
    const parsed = parser.push(piece);
    text += parsed.text;
    for (const delta of parsed.deltas) collectCall(calls, delta);
  }
  return { text: text + parser.flush().text, calls };
}

for (const { title, format, written, text, calls } of transcripts)
  test(`${title}: the same however it is cut`, () => {
    const random = randomNumbers(5);
    const cuts = [[written], [...written]];
    for (let i = 0; i < 30; i++) {
      const pieces: string[] = [];
      for (let at = 0; at < written.length; ) {
        const length = 1 + Math.floor(random() * 9);
        pieces.push(written.slice(at, at + length));
        at += length;
      }
      cuts.push(pieces);
    }
    const bytes = new TextEncoder().encode(written);
    for (let at = 1; at < bytes.length; at++) {
      const decoder = new TextDecoder();
      cuts.push([bytes.subarray(0, at), bytes.subarray(at)].map((part) => decoder.decode(part, { stream: true })));
    }
    for (const pieces of cuts) {
      const found = parse(format, pieces);
      assert.is(found.text, text);
      assert.equal(
        found.calls.map(({ name, arguments: json }) => ({ name, arguments: JSON.parse(json) })),
        calls,
      );
      assert.equal(
        found.calls.map(({ id }) => id),
        calls.map((_, i) => `call_${i}`),
      );
    }
  });

test("arguments come as they are written, the name first", () => {
  const { format, written } = transcripts[0]!;
  const parser = new ToolParser(format, () => "id");
  const deltas = [...written].flatMap((character) => parser.push(character).deltas.map((delta) => ({ ...delta })));
  assert.equal(deltas[0], { index: 0, id: "id", name: "get_weather" });
  assert.ok(deltas.filter(({ index, arguments: part }) => index === 0 && part?.length === 1).length > 20);
});

test.run();
