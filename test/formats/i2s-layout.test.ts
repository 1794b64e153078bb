import { existsSync, readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { zerosPerColumn } from "#src/formats/gguf/i2s-layout.js";
import type { I2SLayout, ModelFile, TensorInfo } from "#src/formats/model-file.js";
import { openModel } from "#src/formats/open.js";
import { loadModel } from "#src/load.js";
import { atRoot, fixture } from "../helpers/fixtures.js";
import { rejection } from "./source-conformance.js";

const layouts: I2SLayout[] = ["block128", "block64", "rows4"];
const story = atRoot("weights", "story.gguf");

/** Byte and shift of element (row, column) of a matrix. */
function place(layout: I2SLayout, columns: number, row: number, column: number): [index: number, shift: number] {
  if (layout === "rows4") return [(row >> 2) * columns + column, 6 - 2 * (row & 3)];
  const size = layout === "block128" ? 128 : 64;
  const element = row * columns + column;
  const inBlock = element % size;
  const block = (element - inBlock) / size;
  return [(block * size) / 4 + (inBlock % (size / 4)), 6 - 2 * Math.floor(inBlock / (size / 4))];
}

/** The whole file with its I2_S tensors moved from the official layout to another. */
function recode(bytes: Uint8Array, tensors: TensorInfo[], layout: I2SLayout): Uint8Array {
  const out = bytes.slice();
  for (const tensor of tensors.filter(({ type }) => type === "I2_S")) {
    const [rows, columns] = tensor.shape as [number, number];
    out.fill(0, tensor.offset, tensor.offset + (rows * columns) / 4);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const [from, fromShift] = place("block128", columns, row, column);
        const [to, toShift] = place(layout, columns, row, column);
        const code = ((bytes[tensor.offset + from] as number) >> fromShift) & 3;
        out[tensor.offset + to] = (out[tensor.offset + to] as number) | (code << toShift);
      }
    }
  }
  return out;
}

function layoutsOf(file: ModelFile): (I2SLayout | undefined)[] {
  const inLayers = file.tensors.layers.flatMap(({ query, key, value, output, gate, up, down }) =>
    [query, key, value, output, gate, up, down].map(({ i2sLayout }) => i2sLayout),
  );
  const inList = file.allTensors.filter(({ type }) => type === "I2_S").map(({ i2sLayout }) => i2sLayout);
  return [...new Set([...inLayers, ...inList])];
}

for (const layout of layouts) {
  test(`trained weights stored as ${layout} are recognised`, async () => {
    if (!existsSync(story)) {
      console.log(`SKIPPED: ${story} is not there`);
      return;
    }
    const bytes = new Uint8Array(readFileSync(story));
    const original = await openModel(bytes);
    const file = await openModel(recode(bytes, original.allTensors, layout));
    assert.equal(layoutsOf(file), [layout]);
    assert.ok(file.notes.some((note) => note.startsWith(`I2_S layout ${layout}: `)));
  });
}

test("the same story comes out of all three layouts", async () => {
  if (!existsSync(story)) return;
  const bytes = new Uint8Array(readFileSync(story));
  const { allTensors } = await openModel(bytes);
  const stories: string[] = [];
  for (const layout of layouts) {
    await using model = await loadModel(recode(bytes, allTensors, layout), { threads: 1 });
    let text = "";
    for await (const piece of model.generate("Once upon a time", { maxTokens: 12, temperature: 0 })) text += piece.text;
    stories.push(text);
  }
  assert.ok((stories[0] as string).length > 20, stories[0]);
  assert.equal(stories, [stories[0], stories[0], stories[0]]);
});

for (const layout of layouts) {
  test(`random weights stored as ${layout} do not tell: the official layout, with a note`, async () => {
    const bytes = new Uint8Array(readFileSync(fixture("golden", "bitnet-tiny", "bitnet-tiny-i2s.gguf")));
    const original = await openModel(bytes);
    const file = await openModel(recode(bytes, original.allTensors, layout));
    assert.equal(layoutsOf(file), ["block128"]);
    assert.ok(file.notes.some((note) => note.includes("assumed")));
  });
}

test("an asked-for layout is taken without a look", async () => {
  const file = await openModel(fixture("golden", "bitnet-tiny", "bitnet-tiny-i2s.gguf"), { i2sLayout: "rows4" });
  assert.equal(layoutsOf(file), ["rows4"]);
  assert.equal(file.notes, ["I2_S layout rows4, as given"]);
  await file.close();
});

test("zeros per column, also where rows end inside a block", () => {
  const rows = 32;
  const columns = 36;
  for (const layout of layouts) {
    const bytes = new Uint8Array((rows * columns) / 4);
    const expected = new Int32Array(columns);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const code = (row * 7 + column * 5 + row * column) % 3;
        const [index, shift] = place(layout, columns, row, column);
        bytes[index] = (bytes[index] as number) | (code << shift);
        if (code === 1) expected[column] = (expected[column] as number) + 1;
      }
    }
    assert.equal([...zerosPerColumn(bytes, columns, layout)], [...expected], layout);
  }
});

test("the code 3 is damage, and the error says where", async () => {
  const bytes = new Uint8Array(readFileSync(fixture("golden", "bitnet-tiny", "bitnet-tiny-i2s.gguf")));
  const { tensors } = await openModel(bytes);
  const down = tensors.layers[0]?.down as TensorInfo;
  bytes[down.offset + 77] = 0b00001100;
  const error = await rejection(openModel(bytes));
  assert.is(error.name, "FormatError");
  assert.match(error.message, `byte ${down.offset + 77}, tensor blk.0.ffn_down.weight`);
});

test.run();
